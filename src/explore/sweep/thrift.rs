//! Thrift's compact protocol, as far as the headers of Parquet need it.
//!
//! Source: `doc/specs/thrift-compact-protocol.md` of Apache Thrift.

/// Kinds of fields and of a list's elements.
#[derive(Clone, Copy)]
enum Kind {
    Int32 = 5,
    Int64 = 6,
    Binary = 8,
    List = 9,
    Struct = 12,
}

/// A structure under way: fields come in the order of their numbers.
#[derive(Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

/// A number in groups of seven bits, the least first; all but the last have the highest bit set.
pub(super) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Small numbers of either sign become small numbers.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// A signed number at the head of `bytes`.
pub(super) fn read_int(bytes: &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    None
}

impl Struct {
    fn field(&mut self, number: u8, kind: Kind) {
        let step = number - self.last;
        assert!((1..=15).contains(&step), "fields come in order, and none is far from the one before");
        self.bytes.push(step << 4 | kind as u8);
        self.last = number;
    }

    pub(super) fn int32(mut self, number: u8, value: i32) -> Struct {
        self.field(number, Kind::Int32);
        varint(&mut self.bytes, zigzag(i64::from(value)));
        self
    }

    pub(super) fn int64(mut self, number: u8, value: i64) -> Struct {
        self.field(number, Kind::Int64);
        varint(&mut self.bytes, zigzag(value));
        self
    }

    pub(super) fn text(mut self, number: u8, value: &str) -> Struct {
        self.field(number, Kind::Binary);
        text(&mut self.bytes, value);
        self
    }

    pub(super) fn inner(mut self, number: u8, value: Struct) -> Struct {
        self.field(number, Kind::Struct);
        self.bytes.extend(value.finish());
        self
    }

    pub(super) fn structs(mut self, number: u8, values: Vec<Struct>) -> Struct {
        self.list(number, Kind::Struct, values.len());
        values.into_iter().for_each(|value| self.bytes.extend(value.finish()));
        self
    }

    pub(super) fn ints(mut self, number: u8, values: &[i32]) -> Struct {
        self.list(number, Kind::Int32, values.len());
        values.iter().for_each(|value| varint(&mut self.bytes, zigzag(i64::from(*value))));
        self
    }

    pub(super) fn texts(mut self, number: u8, values: &[&str]) -> Struct {
        self.list(number, Kind::Binary, values.len());
        values.iter().for_each(|value| text(&mut self.bytes, value));
        self
    }

    fn list(&mut self, number: u8, kind: Kind, count: usize) {
        self.field(number, Kind::List);
        match u8::try_from(count) {
            Ok(few @ 0..15) => self.bytes.push(few << 4 | kind as u8),
            _ => {
                self.bytes.push(0xf0 | kind as u8);
                varint(&mut self.bytes, count as u64);
            }
        }
    }

    /// The head of a field that a reader will find behind what is here already, and the bytes so far.
    pub(super) fn up_to_int64(mut self, number: u8) -> Vec<u8> {
        self.field(number, Kind::Int64);
        self.bytes
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_sign_come_back() {
        for number in [0, 1, -1, 63, -64, 64, 300, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            varint(&mut bytes, zigzag(number));
            assert_eq!(read_int(&bytes), Some(number));
            assert_eq!(read_int(&bytes[..bytes.len() - 1]), None);
        }
    }
}
