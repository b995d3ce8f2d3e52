//! Questions to the programs: a connection to a port in a host's own network namespace, so that no packet filter
//! between hosts is in the way.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A reply of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A string of either kind.
    Text(String),
    /// An integer.
    Int(i64),
    /// A list.
    List(Vec<Value>),
    /// An error reply.
    Error(String),
    /// Nothing there.
    Nil,
}

impl Value {
    /// As `redis-cli` shows it; of what takes more than a line only what it is.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Text(text) if text.contains('\n') => "(a text of several lines)".into(),
            Value::Text(text) => text.clone(),
            Value::Int(n) => format!("(integer) {n}"),
            Value::List(_) => "(a list)".into(),
            Value::Error(text) => format!("-{text}"),
            Value::Nil => "(nil)".into(),
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    pub(super) fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }
}

/// Sends commands to the program that listens on `port` in a namespace; answers their replies.
pub(super) fn ask(namespace: &Path, port: u16, limit: Duration, commands: &[Vec<String>]) -> io::Result<Vec<Value>> {
    // A thread of its own: only threads move between namespaces, and this one must not stay there.
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let file = File::open(namespace)?;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let stream = TcpStream::connect_timeout(&addr, limit)?;
            stream.set_read_timeout(Some(limit))?;
            stream.set_nodelay(true)?;
            let mut text = Vec::new();
            commands.iter().for_each(|command| encode(command, &mut text));
            (&stream).write_all(&text)?;
            let mut reader = BufReader::new(&stream);
            commands.iter().map(|_| read_value(&mut reader)).collect()
        });
        asking.join().unwrap_or_else(|_| Err(io::Error::other("the thread that asks panicked")))
    })
}

/// A command as an array of bulk strings.
pub(super) fn encode(command: &[String], out: &mut Vec<u8>) {
    out.extend(format!("*{}\r\n", command.len()).bytes());
    for word in command {
        out.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
}

/// Words as a command.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}

/// Reads one reply.
pub(super) fn read_value(reader: &mut impl BufRead) -> io::Result<Value> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    let strange = || io::Error::new(io::ErrorKind::InvalidData, format!("not a reply: {line}"));
    let (mark, rest) = line.split_at_checked(1).ok_or_else(strange)?;
    let number = || rest.parse::<i64>().map_err(|_| strange());
    Ok(match mark {
        "+" => Value::Text(rest.into()),
        "-" => Value::Error(rest.into()),
        ":" => Value::Int(number()?),
        "$" => match usize::try_from(number()?) {
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                reader.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Value::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            Err(_) => Value::Nil,
        },
        "*" => match usize::try_from(number()?) {
            Ok(length) => Value::List((0..length).map(|_| read_value(reader)).collect::<io::Result<_>>()?),
            Err(_) => Value::Nil,
        },
        _ => return Err(strange()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let mut text = &b"*3\r\n$4\r\nab\r\n\r\n:-7\r\n*-1\r\n-ERR no\r\n$-1\r\n+OK\r\n"[..];
        let list = Value::List(vec![Value::Text("ab\r\n".into()), Value::Int(-7), Value::Nil]);
        assert_eq!(read_value(&mut text).expect("a list"), list);
        assert_eq!(read_value(&mut text).expect("an error"), Value::Error("ERR no".into()));
        assert_eq!(read_value(&mut text).expect("nil"), Value::Nil);
        assert_eq!(read_value(&mut text).expect("a text").text(), Some("OK"));
        assert!(read_value(&mut text).is_err());
    }

    #[test]
    fn commands_are_written() {
        let mut out = Vec::new();
        encode(&words("SET k:1 1"), &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nk:1\r\n$1\r\n1\r\n");
    }
}
