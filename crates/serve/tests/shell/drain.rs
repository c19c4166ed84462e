//! Leaving in order.

use keybound_serve::{Drained, Limits, stop_signal};
use rustix::process::{Signal, getpid, kill_process};
use tokio::net::TcpStream;

use crate::support::{BRIEF, Running, get_and_stay, soon, status};

#[tokio::test]
async fn ops_dep_02_a_stop_finishes_open_requests_and_refuses_new_connections() {
    let running = Running::start(Limits::default()).await;
    let mut idle = running.connect().await;
    idle.write(get_and_stay("/")).await;
    idle.read_until("hello").await;
    let mut silent = running.connect().await;
    let mut busy = running.connect().await;
    busy.write(get_and_stay("/gate")).await;
    soon(running.signals.entered.notified()).await;

    running.stop.send(()).unwrap();
    assert_eq!(idle.read_to_close().await, "");
    assert_eq!(silent.read_to_close().await, "");
    let refused = TcpStream::connect(running.address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(!running.done.is_finished());

    running.signals.release.notify_one();
    let response = busy.read_to_close().await;
    assert_eq!(status(&response), 200);
    assert!(response.ends_with("through the gate"), "{response}");
    assert_eq!(soon(running.done).await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn ops_dep_02_a_request_that_was_on_its_way_is_answered() {
    let running = Running::start(Limits::default()).await;
    let mut early = running.connect().await;
    // Connections are accepted in their order: when the later one is answered, the earlier one has been accepted.
    let mut later = running.connect().await;
    later.write(get_and_stay("/")).await;
    later.read_until("hello").await;
    running.stop.send(()).unwrap();
    assert_eq!(later.read_to_close().await, "");
    early.write(get_and_stay("/")).await;
    let response = early.read_to_close().await;
    assert!(status(&response) == 200 && response.ends_with("hello"), "{response}");
    assert_eq!(soon(running.done).await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn ops_dep_02_what_has_no_end_of_its_own_is_told_to_end() {
    let running = Running::start(Limits::default()).await;
    let mut endless = running.connect().await;
    endless.write("GET /until-leaving HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n").await;
    soon(running.signals.entered.notified()).await;
    running.stop.send(()).unwrap();
    assert!(endless.read_to_close().await.ends_with("left in order"));
    assert_eq!(soon(running.done).await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn ops_dep_02_what_does_not_finish_in_time_is_closed() {
    let running = Running::start(Limits { drain: BRIEF, ..Limits::default() }).await;
    let mut stuck = running.connect().await;
    stuck.write(get_and_stay("/gate")).await;
    soon(running.signals.entered.notified()).await;
    running.stop.send(()).unwrap();
    assert_eq!(stuck.read_to_close().await, "");
    assert_eq!(soon(running.done).await.unwrap(), Drained { cut: 1 });
}

#[tokio::test]
async fn sigterm_and_sigint_ask_to_stop() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let stop = stop_signal().unwrap();
        kill_process(getpid(), signal).unwrap();
        assert_eq!(soon(stop).await, name);
    }
}
