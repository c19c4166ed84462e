//! Nodes that share a log in a cluster of Redis.

use crate::nodes::{PATIENT, World, each_counts_once};
use crate::process::{Process, until};
use rustix::process::Signal;
use std::net::TcpListener;
use std::process::Command;
use tempfile::TempDir;

const SLOTS: [&str; 3] = ["0 5460", "5461 10922", "10923 16383"];

/// Three servers, each with a third of the slots.
struct Cluster {
    members: Vec<(Process, u16, TempDir)>,
}

impl Cluster {
    async fn start() -> Self {
        let members: Vec<(Process, u16, TempDir)> = free_ports().into_iter().map(spawn).collect();
        let cluster = Self { members };
        for (member, slots) in SLOTS.iter().enumerate() {
            until("a member", async || cluster.ask(member, "PING").contains("PONG")).await;
            assert_eq!(cluster.ask(member, &format!("CLUSTER ADDSLOTSRANGE {slots}")), "OK");
        }
        for member in 1..SLOTS.len() {
            let bus = cluster.ask(0, "CONFIG GET cluster-port");
            let (port, bus) = (cluster.members[0].1, bus.lines().last().expect("a port").to_owned());
            assert_eq!(cluster.ask(member, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}")), "OK");
        }
        for member in 0..SLOTS.len() {
            until("the cluster", async || cluster.knows_all(member)).await;
        }
        cluster
    }

    fn knows_all(&self, member: usize) -> bool {
        let info = self.ask(member, "CLUSTER INFO");
        info.contains("cluster_state:ok") && info.contains("cluster_size:3")
    }

    fn config(&self) -> String {
        let urls: Vec<String> =
            self.members.iter().map(|(_, port, _)| format!("redis://127.0.0.1:{port}")).collect();
        format!("log = \"redis\"\ncluster = true\nurl = {urls:?}")
    }

    fn ask(&self, member: usize, command: &str) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.members[member].1.to_string()]).args(command.split(' '));
        let output = cli.output().expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// Two for each member: one for clients, one for the others. Held all at once, so that they are different.
fn free_ports() -> Vec<(u16, u16)> {
    let held: Vec<TcpListener> =
        (0..2 * SLOTS.len()).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let ports: Vec<u16> = held.iter().map(|port| port.local_addr().expect("an address").port()).collect();
    ports.chunks(2).map(|pair| (pair[0], pair[1])).collect()
}

fn spawn((port, bus): (u16, u16)) -> (Process, u16, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("redis-server");
    command.arg("--dir").arg(folder.path()).args(["--bind", "127.0.0.1", "--cluster-enabled", "yes"]);
    command.args(["--port", &port.to_string(), "--cluster-port", &bus.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--cluster-node-timeout", "2000"]);
    (Process::start(&mut command), port, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn ops_rep_05_a_proof_counts_once_whichever_member_of_a_cluster_holds_its_slot() {
    let (mut cluster, world) = (Cluster::start().await, World::new().await);
    let replay = format!("{}\n{PATIENT}", cluster.config());
    let nodes = [world.node("", &replay).await, world.node("", &replay).await];
    let nodes = each_counts_once(&world, nodes, 1_000).await;
    let held: Vec<usize> =
        (0..SLOTS.len()).map(|member| cluster.ask(member, "DBSIZE").parse().expect("a number")).collect();
    assert_eq!(held.iter().sum::<usize>(), 1_001, "{held:?}");
    assert!(held.iter().all(|held| *held > 200), "{held:?}");

    // Without one of them the cluster takes nothing, and neither do the gateways.
    let member = &mut cluster.members[1].0;
    member.signal(Signal::STOP);
    until("a refusal", async || world.call(&nodes[0], "/").await.status == 503).await;
    cluster.members[1].0.signal(Signal::CONT);
    until("the cluster again", async || world.call(&nodes[0], "/").await.status == 200).await;
}
