//! turmoil: a host a node, UDP sockets, ticks of 1 ms (its default), latency of 1 to 10 ms.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use peers::Work;
use tokio::time::{Instant, sleep, sleep_until};
use turmoil::net::UdpSocket;
use turmoil::{Builder, Sim};

fn main() {
    let work = Work::asked();
    work.timed(match work.name.as_str() {
        "mesh" => mesh,
        "heartbeat" => heartbeat,
        _ => work.unknown(),
    });
}

const PORT: u16 = 6379;

fn simulation<'a>() -> Sim<'a> {
    Builder::new()
        .rng_seed(1)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(10))
        .udp_capacity(1 << 16)
        .simulation_duration(Duration::from_secs(1 << 40))
        .build()
}

fn others(node: usize, size: usize) -> Vec<(String, u16)> {
    (0..size).filter(|other| *other != node).map(|other| (format!("node-{other}"), PORT)).collect()
}

fn mesh(work: &Work) -> u64 {
    let mut sim = simulation();
    let (messages, size) = (Rc::new(Cell::new(0_u64)), work.size);
    for node in 0..size {
        let messages = messages.clone();
        sim.host(format!("node-{node}"), move || {
            let messages = messages.clone();
            async move {
                let (socket, others) = (UdpSocket::bind(("0.0.0.0", PORT)).await?, others(node, size));
                // Names are looked up once.
                let others: Vec<_> = others.into_iter().map(|(name, port)| (turmoil::lookup(name), port)).collect();
                sleep(Duration::from_secs(1)).await;
                for other in &others {
                    socket.send_to(&0_u32.to_le_bytes(), *other).await?;
                }
                let (mut buffer, mut turn) = ([0; 4], 0);
                loop {
                    socket.recv_from(&mut buffer).await?;
                    messages.set(messages.get() + 1);
                    let seq = u32::from_le_bytes(buffer) + 1;
                    socket.send_to(&seq.to_le_bytes(), others[turn % others.len()]).await?;
                    turn += 1;
                }
            }
        });
    }
    while messages.get() < work.amount {
        sim.step().expect("no host fails");
    }
    messages.get()
}

fn heartbeat(work: &Work) -> u64 {
    let mut sim = simulation();
    let (messages, size) = (Rc::new(Cell::new(0_u64)), work.size);
    for node in 0..size {
        let messages = messages.clone();
        sim.host(format!("node-{node}"), move || {
            let messages = messages.clone();
            async move {
                let (socket, others) = (UdpSocket::bind(("0.0.0.0", PORT)).await?, others(node, size));
                let others: Vec<_> = others.into_iter().map(|(name, port)| (turmoil::lookup(name), port)).collect();
                let socket = Rc::new(socket);
                let reader = socket.clone();
                tokio::task::spawn_local(async move {
                    let mut buffer = [0; 4];
                    while reader.recv_from(&mut buffer).await.is_ok() {
                        messages.set(messages.get() + 1);
                    }
                });
                let start = Instant::now();
                for beat in 1.. {
                    sleep_until(start + Duration::from_secs(beat)).await;
                    for other in &others {
                        socket.send_to(&0_u32.to_le_bytes(), *other).await?;
                    }
                }
                Ok(())
            }
        });
    }
    while sim.elapsed() < Duration::from_secs(work.amount) {
        sim.step().expect("no host fails");
    }
    messages.get()
}
