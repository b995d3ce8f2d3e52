//! turmoil: a host a node, UDP sockets, ticks of 1 ms (its default), latency of 1 to 10 ms.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use peers::Work;
use tokio::time::{Instant, sleep, sleep_until};
use turmoil::net::UdpSocket;
use turmoil::{Builder, Sim};

fn main() {
    peers::main(&[("mesh", mesh), ("heartbeat", heartbeat)]);
}

const PORT: u16 = 6379;

/// The number of messages that were received.
type Messages = Rc<Cell<u64>>;

/// Hosts that each run a program with its socket, the addresses of the others, and the counter of messages.
fn hosts<F>(size: usize, program: fn(UdpSocket, Vec<SocketAddr>, Messages) -> F) -> (Sim<'static>, Messages)
where
    F: Future<Output = turmoil::Result> + 'static,
{
    let mut sim = Builder::new()
        .rng_seed(1)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(10))
        .udp_capacity(1 << 16)
        .simulation_duration(Duration::from_secs(1 << 40))
        .build();
    let messages = Messages::default();
    for node in 0..size {
        let messages = messages.clone();
        sim.host(format!("node-{node}"), move || {
            let messages = messages.clone();
            async move {
                let socket = UdpSocket::bind(("0.0.0.0", PORT)).await?;
                // Names are looked up once.
                let address = |other| SocketAddr::new(turmoil::lookup(format!("node-{other}")), PORT);
                let others = (0..size).filter(|other| *other != node).map(address).collect();
                program(socket, others, messages).await
            }
        });
    }
    (sim, messages)
}

fn mesh(work: &Work) -> u64 {
    let (mut sim, messages) = hosts(work.size, |socket, others, messages| async move {
        // All are bound before the first message is sent.
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
    });
    while messages.get() < work.amount {
        sim.step().expect("no host fails");
    }
    messages.get()
}

fn heartbeat(work: &Work) -> u64 {
    let (mut sim, messages) = hosts(work.size, |socket, others, messages| async move {
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
    });
    while sim.elapsed() < Duration::from_secs(work.amount) {
        sim.step().expect("no host fails");
    }
    messages.get()
}
