use super::*;

#[test]
fn an_event_takes_twelve_bytes() {
    // With its key and its cause: 32 bytes, half a cache line.
    assert_eq!(size_of::<Event>(), 12);
}
