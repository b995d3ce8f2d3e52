//! A client on redis-rs with its default options: a `ConnectionManager`, or, with `blocking` as its first word or by way of
//! Sentinels, blocking connections that are replaced when they are of no more use. Its words and lines are told in
//! src/reference/libraries.rs.

use std::fs::File;
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{AsyncCommands as _, Commands as _, Connection, ConnectionLike as _, RedisError, RedisResult, Value};
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

/// The library tells causes apart by kinds, and some by their texts.
fn cause(error: &RedisError) -> &'static str {
    let text = error.to_string().to_lowercase();
    if error.is_timeout() || text.contains("timed out") {
        "timeout"
    } else if error.is_connection_refusal() {
        "refused"
    } else if text.contains("no route") || text.contains("unreachable") {
        "unreachable"
    } else {
        "closed"
    }
}

fn outcome(error: &RedisError, connects: bool) -> String {
    if let Some(code) = error.code() {
        return code.to_lowercase();
    }
    let text = error.to_string().to_lowercase();
    if text.contains("master") || text.contains("sentinel") {
        return "no-master".into();
    }
    format!("{}-{}", if connects { "connect" } else { "reply" }, cause(error))
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

    fn received(&self, payload: &str) {
        let seq: u64 = payload.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
        self.note("receive", wall(), &[("seq", json!(seq))]);
    }

    fn ended(&self, seq: u64, at: i64, began: Instant, connects: bool, result: &RedisResult<Value>) {
        let us = began.elapsed().as_micros() as u64;
        let mut rest = vec![("seq", json!(seq)), ("us", json!(us))];
        match result {
            Ok(Value::Int(count)) => rest.extend([("outcome", json!("ok")), ("receivers", json!(count))]),
            Ok(_) => rest.push(("outcome", json!("ok"))),
            Err(error) => rest.push(("outcome", json!(outcome(error, connects)))),
        }
        self.note(&self.kind, at, &rest);
    }
}

/// When the next attempt is due: a loop that is late goes on at once.
fn rest(due: &mut Instant, every: Duration) -> Duration {
    *due += every;
    let now = Instant::now();
    *due = (*due).max(now);
    *due - now
}

enum Source {
    Plain(redis::Client),
    Sentinels(SentinelClient),
}

impl Source {
    fn open(&mut self) -> RedisResult<Connection> {
        match self {
            Source::Plain(client) => client.get_connection(),
            Source::Sentinels(client) => client.get_connection(),
        }
    }
}

fn blocking(task: &Task, mut source: Source) {
    while task.kind == "subscribe" {
        let mut connects = true;
        let result: RedisResult<()> = (|| {
            let mut connection = source.open()?;
            connects = false;
            let mut listener = connection.as_pubsub();
            listener.subscribe(&task.channel)?;
            task.connected("open");
            loop {
                task.received(&listener.get_message()?.get_payload::<String>()?);
            }
        })();
        let error = result.expect_err("it listens for ever");
        task.connected(&outcome(&error, connects).replace("reply-", "read-"));
        sleep(Duration::from_millis(100));
    }
    let mut kept: Option<Connection> = None;
    let mut due = Instant::now();
    for seq in task.first.. {
        let (at, began) = (wall(), Instant::now());
        let connects = kept.is_none();
        let mut opened = !connects;
        let result = (|| {
            if kept.is_none() {
                kept = Some(source.open()?);
                opened = true;
            }
            let connection = kept.as_mut().expect("it is open");
            match task.kind.as_str() {
                "publish" => connection.publish(&task.channel, seq),
                "set" => connection.set(format!("{}{seq}", task.keys), seq),
                _ => connection.get(format!("{}{seq}", task.keys)),
            }
        })();
        // As the documentation of `is_open` and of errors that are unrecoverable has it.
        let is_lost = result.as_ref().is_err_and(|error: &RedisError| error.is_unrecoverable_error());
        if is_lost || kept.as_ref().is_some_and(|connection| !connection.is_open()) {
            kept = None;
        }
        task.ended(seq, at, began, !opened, &result);
        sleep(rest(&mut due, task.every));
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn managed(task: &Task, url: &str) {
    let client = redis::Client::open(url).expect("an address");
    while task.kind == "subscribe" {
        let mut connects = true;
        let result: RedisResult<()> = async {
            let mut listener = client.get_async_pubsub().await?;
            connects = false;
            listener.subscribe(&task.channel).await?;
            task.connected("open");
            let mut messages = listener.on_message();
            while let Some(message) = messages.next().await {
                task.received(&message.get_payload::<String>()?);
            }
            Ok(())
        }
        .await;
        let end = result.map_or_else(|error| outcome(&error, connects), |()| "read-closed".into());
        task.connected(&end.replace("reply-", "read-"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut manager = loop {
        if let Ok(manager) = client.get_connection_manager().await {
            break manager;
        }
    };
    let mut due = Instant::now();
    for seq in task.first.. {
        let (at, began) = (wall(), Instant::now());
        let result: RedisResult<Value> = match task.kind.as_str() {
            "publish" => manager.publish(&task.channel, seq).await,
            "set" => manager.set(format!("{}{seq}", task.keys), seq).await,
            _ => manager.get(format!("{}{seq}", task.keys)).await,
        };
        // What cannot connect says so by itself.
        let connects = result.as_ref().is_err_and(|error| error.is_connection_refusal());
        task.ended(seq, at, began, connects, &result);
        tokio::time::sleep(rest(&mut due, task.every)).await;
    }
}

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let is_blocking = words.first().is_some_and(|word| word == "blocking");
    words.drain(..usize::from(is_blocking));
    if words == ["--version"] {
        return println!("{}", env!("REDIS_VERSION"));
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
    let urls: Vec<String> = addresses.split(',').map(|address| format!("redis://{address}/")).collect();
    if way == "sentinels" {
        let client = SentinelClient::build(urls, master, None, SentinelServerType::Master).expect("addresses");
        blocking(&task, Source::Sentinels(client));
    } else if is_blocking {
        blocking(&task, Source::Plain(redis::Client::open(urls[0].as_str()).expect("an address")));
    } else {
        managed(&task, &urls[0]);
    }
}
