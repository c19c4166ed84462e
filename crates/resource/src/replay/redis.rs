//! The log in Redis or Valkey: a key for each proof, set unless it is there, which ends by itself.
//!
//! One key a command, so that any node of a cluster may hold it. All requests share one connection, in which commands
//! follow each other without waiting.

use super::{LogServer, ReplayLogError};
use keybound_dpop::jose::base64url;
use keybound_dpop::replay::ReplayKey;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError,
    RedisResult, TlsCertificates,
};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// What stands before each key, so that an access list can name what is ours.
const PREFIX: &str = "keybound:";

pub(super) struct RedisLog {
    client: Server,
    link: Mutex<Link>,
    timeout: Duration,
}

enum Server {
    One(Client),
    Cluster(Box<ClusterClient>),
}

/// The connection that all requests share, and how many there were before it.
#[derive(Default)]
struct Link {
    connection: Option<Connection>,
    number: u64,
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl RedisLog {
    pub(super) fn new(server: &LogServer) -> Result<Self, ReplayLogError> {
        let nodes =
            server.urls.iter().map(|url| node(url.reveal(), server)).collect::<Result<Vec<_>, _>>()?;
        let certificates = server.trusted_roots.clone();
        let certificates = TlsCertificates { client_tls: None, root_cert: certificates };
        let client = if server.cluster {
            Server::Cluster(Box::new(cluster(nodes, certificates, server.timeout).map_err(unusable)?))
        } else {
            let mut nodes = nodes.into_iter();
            let (Some(only), None) = (nodes.next(), nodes.next()) else {
                return Err(ReplayLogError("one URL is wanted, or `cluster = true`".to_owned()));
            };
            let client = match only.addr() {
                ConnectionAddr::TcpTls { .. } => Client::build_with_tls(only, certificates),
                _ => Client::open(only),
            };
            Server::One(client.map_err(unusable)?)
        };
        Ok(Self { client, link: Mutex::default(), timeout: server.timeout })
    }

    /// Whether the key was not there, and is now.
    pub(super) async fn record(&self, key: ReplayKey, keep: Duration) -> Result<bool, String> {
        self.in_time(self.set(key, keep)).await
    }

    pub(super) async fn reach(&self) -> Result<(), String> {
        let ping = async {
            let (mut connection, number) = self.connection().await?;
            let pong = connection.ask::<String>(&redis::cmd("PING")).await;
            if pong.is_err() {
                self.drop_link(number).await;
            }
            pong.map(|_| ())
        };
        self.in_time(ping).await
    }

    pub(super) async fn reset(&self) {
        // Whoever holds it is connecting, or letting go.
        if let Ok(mut link) = self.link.try_lock() {
            link.connection = None;
        }
    }

    async fn in_time<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
        match timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", self.timeout.as_millis())),
        }
    }

    async fn set(&self, key: ReplayKey, keep: Duration) -> RedisResult<bool> {
        let mut command = redis::cmd("SET");
        command.arg([PREFIX, &base64url::encode(&key.0.to_be_bytes())].concat());
        command.arg(1).arg("NX").arg("PX").arg(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
        let (mut connection, number) = self.connection().await?;
        let error = match connection.ask::<Option<String>>(&command).await {
            Ok(set) => return Ok(set.is_some()),
            Err(error) => error,
        };
        if error.is_io_error() || error.is_unrecoverable_error() {
            self.drop_link(number).await;
        }
        if !error.is_connection_dropped() {
            return Err(error);
        }
        // An idle connection may have ended long ago. Where the key is there now, the first attempt may have set it.
        let (mut connection, _) = self.connection().await?;
        match connection.ask::<Option<String>>(&command).await? {
            Some(_) => Ok(true),
            None => Err(error),
        }
    }

    async fn connection(&self) -> RedisResult<(Connection, u64)> {
        let mut link = self.link.lock().await;
        if let Some(connection) = &link.connection {
            return Ok((connection.clone(), link.number));
        }
        let connection = self.client.connect(self.timeout).await?;
        link.number = link.number.wrapping_add(1);
        link.connection = Some(connection.clone());
        Ok((connection, link.number))
    }

    /// Lets go of a connection, unless there is another one by now.
    async fn drop_link(&self, number: u64) {
        let mut link = self.link.lock().await;
        if link.number == number {
            link.connection = None;
        }
    }
}

impl Server {
    async fn connect(&self, timeout: Duration) -> RedisResult<Connection> {
        match self {
            Self::One(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(timeout))
                    .set_response_timeout(Some(timeout));
                let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                Ok(Connection::One(connection))
            }
            Self::Cluster(client) => Ok(Connection::Cluster(client.get_async_connection().await?)),
        }
    }
}

impl Connection {
    async fn ask<T: redis::FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        let value = match self {
            Self::One(connection) => connection.req_packed_command(command).await?,
            Self::Cluster(connection) => connection.req_packed_command(command).await?,
        };
        Ok(redis::from_redis_value(value.extract_error()?)?)
    }
}

fn node(url: &str, server: &LogServer) -> Result<ConnectionInfo, ReplayLogError> {
    let node = url.into_connection_info().map_err(unusable)?;
    match node.addr() {
        ConnectionAddr::Tcp(host, _) => server.check_link(false, host)?,
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            return Err(ReplayLogError("`#insecure` would take anybody's certificate".to_owned()));
        }
        _ => (),
    }
    Ok(node)
}

fn cluster(
    nodes: Vec<ConnectionInfo>,
    certificates: TlsCertificates,
    timeout: Duration,
) -> RedisResult<ClusterClient> {
    let is_tls = nodes.iter().any(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. }));
    let client: ClusterClientBuilder = ClusterClient::builder(nodes)
        .retries(3)
        .min_retry_wait(5)
        .max_retry_wait(50)
        .connection_timeout(timeout)
        .response_timeout(timeout)
        .overall_response_timeout(Some(timeout));
    if is_tls { client.certs(certificates).build() } else { client.build() }
}

/// The library's errors do not repeat the URL, which holds a password.
fn unusable(error: RedisError) -> ReplayLogError {
    ReplayLogError(format!("the URL of the replay log cannot be used: {error}"))
}
