//! madsim: a node a task, UDP sockets, its default latency of 1 to 10 ms.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use madsim::net::UdpSocket;
use madsim::runtime::Runtime;
use madsim::time::{Instant, sleep};
use peers::Work;

fn main() {
    let work = Work::asked();
    work.timed(match work.name.as_str() {
        "mesh" => mesh,
        "heartbeat" => heartbeat,
        _ => work.unknown(),
    });
}

fn address(node: usize) -> SocketAddr {
    (IpAddr::V4(Ipv4Addr::new(10, 0, (node / 200) as u8, (node % 200 + 1) as u8)), 6379).into()
}

fn others(node: usize, size: usize) -> Vec<SocketAddr> {
    (0..size).filter(|other| *other != node).map(address).collect()
}

fn mesh(work: &Work) -> u64 {
    let runtime = Runtime::with_seed_and_config(1, madsim::Config::default());
    let (messages, size, amount) = (Arc::new(AtomicU64::new(0)), work.size, work.amount);
    for node in 0..size {
        let messages = messages.clone();
        runtime.create_node().ip(address(node).ip()).build().spawn(async move {
            let (socket, others) = (UdpSocket::bind(address(node)).await.expect("a free port"), others(node, size));
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
    }
    let seen = messages.clone();
    runtime.block_on(async move {
        while seen.load(Ordering::Relaxed) < amount {
            sleep(Duration::from_millis(1)).await;
        }
    });
    // A whole millisecond is awaited: some messages more than asked for, and their number is the checksum.
    messages.load(Ordering::Relaxed)
}

fn heartbeat(work: &Work) -> u64 {
    let runtime = Runtime::with_seed_and_config(1, madsim::Config::default());
    let (messages, size, seconds) = (Arc::new(AtomicU64::new(0)), work.size, work.amount);
    for node in 0..size {
        let messages = messages.clone();
        runtime.create_node().ip(address(node).ip()).build().spawn(async move {
            let socket = Arc::new(UdpSocket::bind(address(node)).await.expect("a free port"));
            let reader = socket.clone();
            madsim::task::spawn(async move {
                let mut buffer = [0; 4];
                loop {
                    reader.recv_from(&mut buffer).await.expect("a message");
                    messages.fetch_add(1, Ordering::Relaxed);
                }
            });
            let (others, start) = (others(node, size), Instant::now());
            for beat in 1.. {
                madsim::time::sleep_until(start + Duration::from_secs(beat)).await;
                for other in &others {
                    socket.send_to(other, &0_u32.to_le_bytes()).await.expect("it can be sent");
                }
            }
        });
    }
    runtime.block_on(async move { sleep(Duration::from_secs(seconds)).await });
    messages.load(Ordering::Relaxed)
}
