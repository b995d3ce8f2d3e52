//! A client on fred with its default options and `ReconnectPolicy::default()`, without which it would not reconnect at all. Its
//! words and lines are told in src/reference/libraries.rs.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fred::prelude::*;
use fred::types::config::Server;
use serde_json::{Map, json};

struct Task {
    kind: String,
    channel: String,
    keys: String,
    every: Duration,
    first: u64,
    log: File,
}

fn wall() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_micros() as i64
}

/// The library tells causes apart by its texts.
fn outcome(error: &Error, during: &str) -> String {
    let text = error.details();
    let code = text.split(' ').next().unwrap_or_default();
    if code.len() >= 4 && code.chars().all(|letter| letter.is_ascii_uppercase()) {
        return code.to_lowercase();
    }
    let text = text.to_lowercase();
    let cause = if text.contains("timed out") || text.contains("timedout") {
        "timeout"
    } else if text.contains("refused") {
        "refused"
    } else if text.contains("no route") || text.contains("unreachable") {
        "unreachable"
    } else if *error.kind() == ErrorKind::Sentinel {
        return "no-master".into();
    } else {
        "closed"
    };
    format!("{during}-{cause}")
}

impl Task {
    fn note(&self, op: &str, at: i64, rest: &[(&str, serde_json::Value)]) {
        let mut line = Map::from_iter([("at".into(), json!(at)), ("op".into(), json!(op))]);
        line.extend(rest.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let text = format!("{}\n", serde_json::Value::from(line));
        (&self.log).write_all(text.as_bytes()).expect("the file can be written");
    }

    fn connected(&self, outcome: &str) {
        self.note("connect", wall(), &[("outcome", json!(outcome))]);
    }
}

async fn subscribe(task: &Task, builder: &Builder) {
    let client = builder.build_subscriber_client().expect("good options");
    // A lost connection is an error of a server, one that did not open of none.
    let (mut messages, mut opened, mut errors) = (client.message_rx(), client.reconnect_rx(), client.error_rx());
    client.manage_subscriptions();
    let subscribed = async {
        client.init().await.expect("it tries for ever");
        client.subscribe(task.channel.as_str()).await.expect("it waits");
    };
    let told = async {
        loop {
            tokio::select! {
                Ok(message) = messages.recv() => {
                    let text = message.value.as_string().unwrap_or_default();
                    let seq: u64 = text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
                    task.note("receive", wall(), &[("seq", json!(seq))]);
                }
                Ok(_) = opened.recv() => task.connected("open"),
                Ok((error, server)) = errors.recv() => {
                    task.connected(&outcome(&error, if server.is_some() { "read" } else { "connect" }));
                }
            }
        }
    };
    tokio::join!(subscribed, told);
}

async fn call(task: &Task, builder: &Builder) {
    let client = builder.build().expect("good options");
    client.init().await.expect("it tries for ever");
    let mut due = Instant::now();
    for seq in task.first.. {
        let (at, began) = (wall(), Instant::now());
        let key = format!("{}{seq}", task.keys);
        let result: Result<Value, Error> = match task.kind.as_str() {
            "publish" => client.publish(task.channel.as_str(), seq.to_string()).await,
            "set" => client.set(key, seq.to_string(), None, None, false).await,
            _ => client.get(key).await,
        };
        let us = began.elapsed().as_micros() as u64;
        let mut rest = vec![("seq", json!(seq)), ("us", json!(us))];
        match result {
            Ok(Value::Integer(count)) => rest.extend([("outcome", json!("ok")), ("receivers", json!(count))]),
            Ok(_) => rest.push(("outcome", json!("ok"))),
            Err(error) => rest.push(("outcome", json!(outcome(&error, "reply")))),
        }
        task.note(&task.kind, at, &rest);
        // A loop that is late goes on at once.
        due = (due + task.every).max(Instant::now());
        tokio::time::sleep(due - Instant::now()).await;
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--version"] {
        return println!("{}", env!("FRED_VERSION"));
    }
    let [kind, way, addresses, master, out, channel, keys, every_us, first] =
        <[String; 9]>::try_from(words).expect("the words of src/reference/libraries.rs");
    let task = Task {
        kind,
        channel,
        keys,
        every: Duration::from_micros(every_us.parse().expect("microseconds")),
        first: first.parse().expect("a number"),
        log: File::options().create(true).append(true).open(out).expect("a file"),
    };
    let hosts: Vec<Server> = addresses.split(',').map(|word| Server::try_from(word).expect("an address")).collect();
    let server = match way.as_str() {
        "sentinels" => ServerConfig::Sentinel { hosts, service_name: master },
        _ => ServerConfig::Centralized { server: hosts[0].clone() },
    };
    let mut builder = Builder::from_config(Config { server, ..Config::default() });
    builder.set_policy(ReconnectPolicy::default());
    match task.kind.as_str() {
        "subscribe" => subscribe(&task, &builder).await,
        _ => call(&task, &builder).await,
    }
}
