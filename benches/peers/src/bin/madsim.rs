//! madsim: a node a task, UDP sockets, its default latency of 1 to 10 ms.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use madsim::net::UdpSocket;
use madsim::runtime::Runtime;
use madsim::time::{Instant, sleep, sleep_until};
use peers::Work;

fn main() {
    peers::main(&[("mesh", mesh), ("heartbeat", heartbeat)]);
}

fn address(node: usize) -> SocketAddr {
    (IpAddr::V4(Ipv4Addr::new(10, 0, (node / 200) as u8, (node % 200 + 1) as u8)), 6379).into()
}

/// The number of messages that were received.
type Messages = Arc<AtomicU64>;

/// Nodes that each run a program with its socket, the addresses of the others, and the counter of messages.
fn nodes<F>(size: usize, program: fn(UdpSocket, Vec<SocketAddr>, Messages) -> F) -> (Runtime, Messages)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = Runtime::with_seed_and_config(1, madsim::Config::default());
    let messages = Messages::default();
    for node in 0..size {
        let messages = messages.clone();
        let others = (0..size).filter(|other| *other != node).map(address).collect();
        runtime.create_node().ip(address(node).ip()).build().spawn(async move {
            let socket = UdpSocket::bind(address(node)).await.expect("a free port");
            program(socket, others, messages).await;
        });
    }
    (runtime, messages)
}

fn mesh(work: &Work) -> u64 {
    let (runtime, messages) = nodes(work.size, |socket, others, messages| async move {
        // All are bound before the first message is sent.
        sleep(Duration::from_secs(1)).await;
        for other in &others {
            socket.send_to(other, &0_u32.to_le_bytes()).await.expect("it can be sent");
        }
        let (mut buffer, mut turn) = ([0; 4], 0);
        loop {
            socket.recv_from(&mut buffer).await.expect("a message");
            messages.fetch_add(1, Ordering::Relaxed);
            let seq = u32::from_le_bytes(buffer) + 1;
            socket.send_to(&others[turn % others.len()], &seq.to_le_bytes()).await.expect("it can be sent");
            turn += 1;
        }
    });
    let (seen, amount) = (messages.clone(), work.amount);
    runtime.block_on(async move {
        while seen.load(Ordering::Relaxed) < amount {
            sleep(Duration::from_millis(1)).await;
        }
    });
    // A whole millisecond is awaited: some messages more than asked for, and their number is the checksum.
    messages.load(Ordering::Relaxed)
}

fn heartbeat(work: &Work) -> u64 {
    let (runtime, messages) = nodes(work.size, |socket, others, messages| async move {
        let socket = Arc::new(socket);
        let reader = socket.clone();
        madsim::task::spawn(async move {
            let mut buffer = [0; 4];
            loop {
                reader.recv_from(&mut buffer).await.expect("a message");
                messages.fetch_add(1, Ordering::Relaxed);
            }
        });
        let start = Instant::now();
        for beat in 1.. {
            sleep_until(start + Duration::from_secs(beat)).await;
            for other in &others {
                socket.send_to(other, &0_u32.to_le_bytes()).await.expect("it can be sent");
            }
        }
    });
    let seconds = work.amount;
    runtime.block_on(async move { sleep(Duration::from_secs(seconds)).await });
    messages.load(Ordering::Relaxed)
}
