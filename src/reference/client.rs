//! The clients of the reference, on plain blocking sockets: publisher, writer, reader and subscriber.
//!
//! What they do is specified in the README of the shared recordings; `sim::client::reference` is the same program in
//! virtual time. One connection each, `TCP_NODELAY`, 1 s for a connect, 1 s for a reply, nothing is ever repeated.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::ask::{Value, encode, read_value};
use super::backend::epoch_micros;
use crate::client::{Kind, Wait};
use crate::kernel::Span;
use crate::record::{ConnectEnd, Outcome};

const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const REPLY_LIMIT: Duration = Duration::from_secs(1);
/// After this long without anything a subscriber sends PING.
const QUIET_LIMIT: Duration = Duration::from_secs(3);
/// The pause of a subscriber after any failure.
const PAUSE: Duration = Duration::from_millis(100);

/// What a client is to do.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// Which kind of client.
    pub kind: Kind,
    /// The service.
    pub addr: SocketAddr,
    /// The channel.
    pub channel: String,
    /// What keys begin with.
    pub keys: String,
    /// One attempt at every multiple of this.
    pub every: Duration,
    /// Whether a PUBLISH that succeeds is followed by a SET.
    pub then_set: bool,
    /// What a publisher adds to the sequence number, so that a subscriber can tell several apart.
    pub mark: Option<String>,
    /// To so many bytes a message is filled up.
    pub payload: usize,
    /// The last attempt.
    pub requests: Option<u64>,
    /// How long the keys live that it SETs.
    pub px: Option<Span>,
    /// What a writer asks for after each SET that succeeds.
    pub wait: Option<Wait>,
}

/// A line of a client's own file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Microseconds of the Unix epoch.
    pub at: i64,
    /// As in a recording.
    pub op: String,
    /// As in a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u32>,
    /// As in a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How long an attempt took, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us: Option<u64>,
    /// How much of that its WAIT took, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_us: Option<u64>,
    /// As in a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receivers: Option<u32>,
    /// The publisher's mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Works until it is killed, or until it has made its last attempt. Every line is in the file as soon as it is known.
pub(crate) fn run(task: &Task, out: &Path) -> io::Result<()> {
    let counted = counted(out)?;
    let out = File::options().create(true).append(true).open(out)?;
    match task.kind {
        Kind::Subscribe => subscribe(task, &out),
        _ => attempts(task, counted, &out),
    }
}

/// The last SEQ that earlier lives of this client may have used: no two keys and messages are called the same. The attempt
/// in which a life ended has no line.
pub(super) fn counted(out: &Path) -> io::Result<u32> {
    let text = match std::fs::read_to_string(out) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        text => text?,
    };
    let seqs = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()?.seq);
    Ok(if text.is_empty() { 0 } else { seqs.max().unwrap_or(0) + 1 })
}

fn note(mut out: &File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    out.write_all(text.as_bytes())
}

fn now() -> i64 {
    epoch_micros(SystemTime::now())
}

/// One open connection.
struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(addr: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&addr, CONNECT_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_LIMIT))?;
        Ok(Connection { reader: BufReader::new(stream.try_clone()?), stream })
    }

    fn send(&mut self, command: &[&str]) -> io::Result<()> {
        let words: Vec<String> = command.iter().map(|word| word.to_string()).collect();
        let mut text = Vec::new();
        encode(&words, &mut text);
        self.stream.write_all(&text)
    }

    fn read(&mut self, limit: Duration) -> io::Result<Value> {
        self.wait(limit)?;
        // What has begun to come is read to its end.
        read_value(&mut self.reader)
    }

    /// Waits until there is something to read. Not by the socket's own time limit, which counts in jiffies and comes up
    /// to 32 ms late, but as the reference clients wait.
    fn wait(&self, limit: Duration) -> io::Result<()> {
        let until = Instant::now() + limit;
        while self.reader.buffer().is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// How the reference clients' language sorts errors of the system: its own time limit and the kernel's `ETIMEDOUT` are
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Timeout,
    Refused,
    Unreachable,
    Closed,
}

fn cause(error: &io::Error) -> Cause {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Cause::Timeout,
        ErrorKind::ConnectionRefused => Cause::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Cause::Unreachable,
        _ => Cause::Closed,
    }
}

fn connect_outcome(error: &io::Error) -> Outcome {
    match cause(error) {
        Cause::Timeout => Outcome::ConnectTimeout,
        Cause::Refused => Outcome::ConnectRefused,
        Cause::Unreachable => Outcome::ConnectUnreachable,
        Cause::Closed => Outcome::ConnectClosed,
    }
}

fn reply_outcome(error: &io::Error) -> Outcome {
    match cause(error) {
        Cause::Timeout => Outcome::ReplyTimeout,
        _ => Outcome::ReplyClosed,
    }
}

fn attempts(task: &Task, counted: u32, out: &File) -> io::Result<()> {
    let start = Instant::now();
    let mut connection: Option<Connection> = None;
    for seq in counted + 1.. {
        let (at, began) = (now(), Instant::now());
        let answer = attempt(task, seq, &mut connection, out);
        let answered = began.elapsed();
        let waits = task.kind == Kind::Set && task.wait.is_some() && !matches!(answer, Ok(Value::Error(_)) | Err(_));
        let (outcome, receivers) = match answer {
            Ok(Value::Error(text)) => (text.split(' ').next().unwrap_or_default().to_lowercase(), None),
            Ok(_) if task.kind == Kind::Set && task.wait.is_some_and(|wait| !replicated(wait, &mut connection)) => {
                (Outcome::Unreplicated.as_str().into(), None)
            }
            Ok(Value::Int(count)) => (Outcome::Ok.as_str().into(), u32::try_from(count).ok()),
            Ok(_) => (Outcome::Ok.as_str().into(), None),
            Err(outcome) => {
                connection = None;
                (outcome.as_str().into(), None)
            }
        };
        let (op, ok) = (task.kind.verb(), outcome == Outcome::Ok.as_str());
        let line = |op: &str, outcome: String, us: u64, at: i64| Line {
            at,
            op: op.into(),
            seq: Some(seq),
            outcome: Some(outcome),
            us: Some(us),
            ..Line::default()
        };
        let us = began.elapsed().as_micros() as u64;
        let receivers = receivers.filter(|_| task.kind == Kind::Publish);
        let wait_us = waits.then(|| us - answered.as_micros() as u64);
        note(out, &Line { receivers, wait_us, ..line(op, outcome, us, at) })?;
        if let (true, true, Some(open)) = (task.then_set, ok, &mut connection) {
            let (at, began) = (now(), Instant::now());
            let (key, seq) = (format!("{}{seq}", task.keys), seq.to_string());
            let outcome = match open.send(&set(&key, &seq, &px(task))).and_then(|()| open.read(REPLY_LIMIT)) {
                Ok(Value::Error(text)) => text.split(' ').next().unwrap_or_default().to_lowercase(),
                Ok(_) => Outcome::Ok.as_str().into(),
                Err(error) => {
                    connection = None;
                    reply_outcome(&error).as_str().into()
                }
            };
            note(out, &line("set", outcome, began.elapsed().as_micros() as u64, at))?;
        }
        if task.requests.is_some_and(|requests| u64::from(seq - counted) >= requests) {
            break;
        }
        let ticks = start.elapsed().as_nanos() / task.every.as_nanos() + 1;
        let due = start + Duration::from_nanos((ticks * task.every.as_nanos()) as u64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// WAIT, after a SET that succeeded: whether enough replicas have it. A connection that does not answer is given up.
fn replicated(wait: Wait, connection: &mut Option<Connection>) -> bool {
    let Some(open) = connection else { return false };
    let (replicas, ms) = (wait.replicas.to_string(), wait.timeout.as_millis());
    let limit = Duration::from_millis(ms) + REPLY_LIMIT;
    match open.send(&["WAIT", &replicas, &ms.to_string()]).and_then(|()| open.read(limit)) {
        Ok(Value::Int(count)) => count >= i64::from(wait.replicas),
        Ok(_) => false,
        Err(_) => {
            *connection = None;
            false
        }
    }
}

/// How long a key lives, in milliseconds; nothing: for ever.
fn px(task: &Task) -> Option<String> {
    task.px.map(|px| px.as_millis().to_string())
}

fn set<'a>(key: &'a str, seq: &'a str, px: &'a Option<String>) -> Vec<&'a str> {
    let mut words = vec!["SET", key, seq];
    words.extend(px.iter().flat_map(|ms| ["PX", ms]));
    words
}

fn attempt(task: &Task, seq: u32, connection: &mut Option<Connection>, out: &File) -> Result<Value, Outcome> {
    let open = match connection {
        Some(open) => open,
        None => {
            let opened = Connection::open(task.addr).map_err(|error| connect_outcome(&error))?;
            let outcome = Some(ConnectEnd::Open.as_str().into());
            let _ = note(out, &Line { at: now(), op: "connect".into(), outcome, ..Line::default() });
            connection.insert(opened)
        }
    };
    let key = format!("{}{seq}", task.keys);
    let seq = seq.to_string();
    let payload = task.mark.as_ref().map_or(seq.clone(), |mark| format!("{seq} {mark}"));
    let payload = format!("{payload:<width$}", width = task.payload);
    let px = px(task);
    let command = match task.kind {
        Kind::Publish => vec!["PUBLISH", &task.channel, &payload],
        Kind::Get => vec!["GET", &key],
        _ => set(&key, &seq, &px),
    };
    open.send(&command).and_then(|()| open.read(REPLY_LIMIT)).map_err(|error| reply_outcome(&error))
}

fn subscribe(task: &Task, out: &File) -> io::Result<()> {
    loop {
        let end = listen(task, out)?;
        note(out, &Line { at: now(), op: "connect".into(), outcome: Some(end.as_str().into()), ..Line::default() })?;
        thread::sleep(PAUSE);
    }
}

/// One connection of a subscriber, from its beginning to its end.
fn listen(task: &Task, out: &File) -> io::Result<ConnectEnd> {
    let mut open = match Connection::open(task.addr) {
        Ok(open) => open,
        Err(error) => {
            return Ok(match connect_outcome(&error) {
                Outcome::ConnectTimeout => ConnectEnd::ConnectTimeout,
                Outcome::ConnectRefused => ConnectEnd::ConnectRefused,
                Outcome::ConnectUnreachable => ConnectEnd::ConnectUnreachable,
                _ => ConnectEnd::ConnectClosed,
            });
        }
    };
    let confirmed = open.send(&["SUBSCRIBE", &task.channel]).and_then(|()| open.read(REPLY_LIMIT));
    match confirmed {
        Ok(Value::List(_)) => {}
        Err(error) if cause(&error) == Cause::Timeout => return Ok(ConnectEnd::SubscribeTimeout),
        _ => return Ok(ConnectEnd::SubscribeClosed),
    }
    let outcome = Some(ConnectEnd::Open.as_str().into());
    note(out, &Line { at: now(), op: "connect".into(), outcome, ..Line::default() })?;
    let mut pinged = false;
    loop {
        match open.wait(if pinged { REPLY_LIMIT } else { QUIET_LIMIT }).and_then(|()| open.reader.fill_buf()) {
            Ok([]) => return Ok(ConnectEnd::ReadClosed),
            Ok(_) => {}
            Err(error) if cause(&error) == Cause::Timeout && !pinged => {
                if open.send(&["PING"]).is_err() {
                    return Ok(ConnectEnd::ReadClosed);
                }
                pinged = true;
                continue;
            }
            Err(error) if cause(&error) == Cause::Timeout => return Ok(ConnectEnd::ReadTimeout),
            Err(_) => return Ok(ConnectEnd::ReadClosed),
        }
        let at = now();
        let value = match open.read(REPLY_LIMIT) {
            Ok(value) => value,
            Err(error) if cause(&error) == Cause::Timeout => return Ok(ConnectEnd::ReadTimeout),
            Err(_) => return Ok(ConnectEnd::ReadClosed),
        };
        pinged = false;
        if let Some((seq, from)) = message(&value) {
            note(out, &Line { at, op: "receive".into(), seq: Some(seq), from, ..Line::default() })?;
        }
    }
}

/// The sequence number and the mark in a message of the channel.
fn message(value: &Value) -> Option<(u32, Option<String>)> {
    let [kind, _, payload] = value.list()? else { return None };
    if kind.text() != Some("message") {
        return None;
    }
    let mut words = payload.text()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next().filter(|mark| !mark.is_empty()).map(str::to_string)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn errors_are_sorted_as_the_reference_clients_sort_them() {
        let outcome = |kind: ErrorKind| connect_outcome(&kind.into()).as_str();
        assert_eq!(outcome(ErrorKind::TimedOut), "connect-timeout");
        assert_eq!(outcome(ErrorKind::ConnectionRefused), "connect-refused");
        assert_eq!(outcome(ErrorKind::HostUnreachable), "connect-unreachable");
        assert_eq!(outcome(ErrorKind::ConnectionReset), "connect-closed");
        assert_eq!(reply_outcome(&ErrorKind::UnexpectedEof.into()), Outcome::ReplyClosed);
        assert_eq!(reply_outcome(&ErrorKind::WouldBlock.into()), Outcome::ReplyTimeout);
    }

    #[test]
    fn messages_carry_a_number_and_perhaps_a_mark() {
        let value = |payload: &str| Value::List(["message", "ch", payload].map(|t| Value::Text(t.into())).to_vec());
        assert_eq!(message(&value("7")), Some((7, None)));
        assert_eq!(message(&value("7 second")), Some((7, Some("second".into()))));
        assert_eq!(message(&value("7 second   ")), Some((7, Some("second".into()))));
        assert_eq!(message(&value("7   ")), Some((7, None)));
        assert_eq!(message(&Value::List(vec![Value::Text("pong".into())])), None);
    }

    #[test]
    fn an_attempt_that_meets_nothing_is_an_outcome_and_an_error_reply_keeps_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            for reply in ["+OK\r\n", "-READONLY You can't write\r\n"] {
                read_value(&mut reader).expect("a command");
                stream.write_all(reply.as_bytes()).expect("the client reads");
            }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out");
        let task = Task {
            kind: Kind::Set,
            addr,
            channel: "ch".into(),
            keys: "k:".into(),
            every: Duration::from_millis(10),
            then_set: false,
            mark: None,
            payload: 0,
            requests: Some(4),
            px: None,
            wait: None,
        };
        run(&task, &out).expect("it ends after its last attempt");
        server.join().expect("the server is content");
        let text = std::fs::read_to_string(&out).expect("its file");
        let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
        let outcomes: Vec<&str> = lines.iter().filter_map(|line| line.outcome.as_deref()).collect();
        assert_eq!(outcomes, ["open", "ok", "readonly", "reply-closed", "connect-refused"]);
        run(&Task { requests: Some(2), ..task }, &out).expect("it is started again");
        let text = std::fs::read_to_string(&out).expect("its file");
        let seqs: Vec<u32> =
            text.lines().filter_map(|line| serde_json::from_str::<Line>(line).expect("a line").seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 6, 7], "a second life uses no number of the first, 5 may have been under way");
    }
}
