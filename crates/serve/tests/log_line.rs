//! The line that each request leaves in the log. Alone in its process, because what a thread logs to is remembered
//! for all threads.

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use keybound_serve::{Options, Readiness, Server, admin_service, bind};
    use prometheus_client::registry::Registry;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tracing_subscriber::fmt::MakeWriter;

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Log;

        fn make_writer(&'a self) -> Log {
            self.clone()
        }
    }

    #[tokio::test]
    async fn ops_log_01_the_log_line_has_no_query_and_no_header() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let service = admin_service(Arc::new(Registry::default()), Readiness::default());
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let server = Server::new(listener, service, Options::new("test")).unwrap();
        let mut peer = TcpStream::connect(server.local_addr()).await.unwrap();
        tokio::spawn(server.run(pending()));

        let head = "GET /livez?code=canary HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        peer.write_all(format!("{head}Authorization: canary\r\n\r\n").as_bytes()).await.unwrap();
        peer.read_to_end(&mut Vec::new()).await.unwrap();

        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let line = text.lines().find(|line| line.contains(" request ")).expect("a line");
        for part in ["server=\"test\"", "method=GET", "path=/livez ", "status=200", "ms=", "peer=127.0.0.1:"]
        {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!text.contains("canary"), "{text}");
    }
}
