//! What a program says it wants done, and what the world makes of it.
//!
//! A call has two faces. The program sees [`Out`]: its clocks, and verbs. The world holds the [`Desk`] on which all that is laid
//! down: it begins the call, takes what is wanted and carries it out, keeps records and notes. No program can reach it.

use super::{Action, Handles, Note, Noted, Sock, TimerId, Token};
use crate::kernel::{EventId, Span, Time};
use crate::record::{Event, Op, Record, What};
use crate::release::Dialect;
use crate::wire::{Addr, Message, NodeId, Reply};

/// What a program sees of the world during one call: its clocks, and where it says what it wants done.
#[derive(Clone, Debug)]
pub struct Out {
    now: Time,
    worked: Span,
    wall_offset_ns: i64,
    node: NodeId,
    during: EventId,
    /// The words of what is logged.
    dialect: Dialect,
    recording: bool,
    #[cfg(any(test, feature = "mistakes"))]
    mistake: Option<crate::mistake::Mistake>,
    actions: Vec<Action>,
    /// Messages that this call has sent.
    sends: u32,
    /// More inputs of the same pass follow.
    more: bool,
    held: bool,
    records: Vec<Record>,
    /// Why programs decided as they did, if somebody traces.
    notes: Option<Vec<Noted>>,
    /// The answer to a command that came over no connection.
    answer: Option<Reply>,
    /// Endpoint allocation, shared with the network.
    handles: Handles,
}

impl Out {
    /// Whether a model shall make this mistake: never but in tests.
    #[inline(always)]
    pub fn mistaken(&self, mistake: crate::mistake::Mistake) -> bool {
        #[cfg(any(test, feature = "mistakes"))]
        return self.mistake == Some(mistake);
        #[cfg(not(any(test, feature = "mistakes")))]
        {
            let _ = mistake;
            false
        }
    }

    /// The moment inside this call: when it began, plus the work done so far.
    #[inline]
    pub fn now(&self) -> Time {
        self.now + self.worked
    }

    /// The program's wall clock in whole milliseconds, truncated (`mstime()`); it jumps when the script says so.
    #[inline]
    pub fn wall_ms(&self) -> i64 {
        // A million seconds keep the clock positive after any jump backwards.
        (self.now().0 as i64 + self.wall_offset_ns).div_euclid(1_000_000) + 1_000_000_000
    }

    /// The program is busy for `span`: nothing else is handled meanwhile, and what it sends leaves afterwards.
    #[inline]
    pub fn work(&mut self, span: Span) {
        self.worked += span;
    }

    /// Whether the real program would read more in this pass: other inputs were there when it began.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// What this call wants done is done when its work is over, and not at all if the process dies before; without this, what
    /// is sent is on its way. If the call has more inputs to follow, it waits for theirs.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Whether an endpoint of this program's still exists.
    #[inline]
    pub fn is_open(&self, sock: Sock) -> bool {
        self.handles.is_live(sock)
    }

    /// Opens a connection to `to`; the outcome arrives as [`Input::Connected`](super::Input) or `ConnectFailed`.
    pub fn connect(&mut self, to: Addr, token: Token) -> Sock {
        let sock = self.handles.allocate();
        self.actions.push(Action::Connect { sock, to, token });
        sock
    }

    /// Names an accepted connection.
    pub fn accept(&mut self, sock: Sock, token: Token) {
        self.actions.push(Action::Accept { sock, token });
    }

    /// Writes a message. Data written before the connect succeeds waits for it.
    #[inline]
    pub fn send(&mut self, sock: Sock, message: Message) {
        self.sends += 1;
        self.actions.push(Action::Send { sock, message });
    }

    /// Writes a command.
    #[inline]
    pub fn command(&mut self, sock: Sock, command: crate::wire::Command) {
        self.send(sock, Message::Command(command));
    }

    /// Writes a reply.
    #[inline]
    pub fn reply(&mut self, sock: Sock, reply: Reply) {
        self.send(sock, Message::Reply(reply));
    }

    /// Answers a command that came over no connection.
    pub fn answer(&mut self, reply: Reply) {
        self.answer = Some(reply);
    }

    /// Takes back what this call has written to `sock`: a real program's output buffer, dropped before it was flushed.
    pub fn discard(&mut self, sock: Sock) {
        if self.sends > 0 {
            self.actions.retain(|action| !matches!(action, Action::Send { sock: to, .. } if *to == sock));
        }
    }

    /// Takes back all that this call has written: the process ends before it is flushed.
    pub fn silence(&mut self) {
        self.actions.retain(|action| !matches!(action, Action::Send { .. }));
        self.sends = 0;
    }

    /// Closes a socket. The program hears of it no more.
    pub fn close(&mut self, sock: Sock) {
        self.actions.push(Action::Close(sock));
    }

    /// Resets a connection. The program hears of it no more.
    pub fn reset(&mut self, sock: Sock) {
        self.actions.push(Action::Reset(sock));
    }

    /// Sends FIN but goes on reading.
    pub fn shutdown_write(&mut self, sock: Sock) {
        self.actions.push(Action::ShutdownWrite(sock));
    }

    /// Sets a timer for `at`, replacing its earlier setting.
    #[inline]
    pub fn set_timer(&mut self, timer: TimerId, at: Time) {
        self.actions.push(Action::SetTimer(timer, at));
    }

    /// Clears a timer.
    pub fn clear_timer(&mut self, timer: TimerId) {
        self.actions.push(Action::ClearTimer(timer));
    }

    /// Listens on the node's address from now on.
    pub fn listen(&mut self) {
        self.actions.push(Action::Listen);
    }

    /// Ends the process.
    pub fn exit(&mut self) {
        self.actions.push(Action::Exit);
    }

    /// What is read from `from` is written to `to`: it is not read while `room_bytes` of it could not be written.
    pub fn relay(&mut self, from: Sock, to: Sock, room_bytes: u32) {
        self.actions.push(Action::Relay { from, to, room_bytes });
    }

    /// Bytes written to `sock` that neither the peer nor the kernel's buffers have taken: the program's own output
    /// buffer.
    #[inline]
    pub fn output_buffer_bytes(&self, sock: Sock) -> u64 {
        self.handles.output_buffer_bytes(sock)
    }

    /// The words of the log lines of this call; those of the reference stack if nothing is said.
    #[inline]
    pub fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Writes a log line. The closure runs only if somebody records.
    #[inline]
    pub fn log(&mut self, event: impl FnOnce() -> Event) {
        if self.recording {
            let (time, node, during, dialect) = (self.now(), self.node, self.during, self.dialect);
            self.records.push(Record { time, node, during, dialect, what: What::Event(event()) });
        }
    }

    /// Whether notes are kept.
    #[inline]
    pub fn is_noting(&self) -> bool {
        self.notes.is_some()
    }

    /// Says why something was decided. The closure runs only if somebody traces.
    #[inline]
    pub fn note(&mut self, note: impl FnOnce() -> Note) {
        if self.notes.is_some() {
            self.write_note(note);
        }
    }

    /// Apart from [`Out::note`], so that the making of notes stays out of the functions that may write one.
    #[cold]
    #[inline(never)]
    fn write_note(&mut self, note: impl FnOnce() -> Note) {
        let noted = Noted { time: self.now(), node: self.node, during: self.during, note: note() };
        self.notes.get_or_insert_default().push(noted);
    }

    /// Records what a client did, beginning at `time`.
    #[inline]
    pub fn op(&mut self, time: Time, op: Op) {
        if self.recording {
            let (node, during, dialect) = (self.node, self.during, Dialect::default());
            self.records.push(Record { time, node, during, dialect, what: What::Op(op) });
        }
    }
}

/// Where the world finds what its programs want done: the other face of [`Out`].
#[derive(Clone, Debug)]
pub struct Desk(Out);

impl Desk {
    /// An empty desk. With `recording` off, log lines are not even built.
    pub fn new(recording: bool) -> Desk {
        Desk(Out {
            now: Time::ZERO,
            worked: Span::ZERO,
            wall_offset_ns: 0,
            node: NodeId(0),
            during: EventId(0),
            dialect: Dialect::default(),
            recording,
            #[cfg(any(test, feature = "mistakes"))]
            mistake: None,
            actions: Vec::with_capacity(16),
            sends: 0,
            more: false,
            held: false,
            records: Vec::new(),
            notes: None,
            answer: None,
            handles: Handles::default(),
        })
    }

    /// Plants a mistake in whatever is called from now on.
    #[cfg(any(test, feature = "mistakes"))]
    pub fn plant(&mut self, mistake: Option<crate::mistake::Mistake>) {
        self.0.mistake = mistake;
    }

    /// Whether a model shall make this mistake.
    pub fn mistaken(&self, mistake: crate::mistake::Mistake) -> bool {
        self.0.mistaken(mistake)
    }

    /// Begins a call for `node` at `now`, whose wall clock is off by `wall_offset_ns`: what the program is to be given.
    ///
    /// # Panics
    /// If the actions of the last call were not taken.
    #[inline]
    pub fn begin(&mut self, now: Time, node: NodeId, during: EventId, wall_offset_ns: i64) -> &mut Out {
        let out = &mut self.0;
        assert!(out.actions.is_empty(), "the actions of the last call were carried out");
        out.now = now;
        out.worked = Span::ZERO;
        out.sends = 0;
        out.held = false;
        out.node = node;
        out.during = during;
        out.dialect = Dialect::default();
        out.wall_offset_ns = wall_offset_ns;
        out
    }

    /// Whether more inputs of the same pass follow the next call.
    #[inline]
    pub fn follow(&mut self, more: bool) {
        self.0.more = more;
    }

    /// Whether the last call had more inputs of its pass to follow.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.0.more
    }

    /// Whether what the call wants done waits for the end of its work.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.0.held
    }

    /// When the call ended: its beginning, plus the work done in it.
    #[inline]
    pub fn ended(&self) -> Time {
        self.0.now()
    }

    /// What the call wants done.
    pub fn actions(&self) -> &[Action] {
        &self.0.actions
    }

    /// Takes what the call wants done.
    #[inline]
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.0.actions)
    }

    /// Gives the emptied list of actions back, to be used again.
    #[inline]
    pub fn recycle(&mut self, mut actions: Vec<Action>) {
        actions.clear();
        self.0.actions = actions;
    }

    /// The endpoints of all connections.
    #[inline]
    pub fn handles(&mut self) -> &mut Handles {
        &mut self.0.handles
    }

    /// The last answer to a command that came over no connection.
    pub fn last_answer(&self) -> Option<&Reply> {
        self.0.answer.as_ref()
    }

    /// The last such answer, once.
    pub fn take_answer(&mut self) -> Option<Reply> {
        self.0.answer.take()
    }

    /// Whether anybody records.
    pub fn is_recording(&self) -> bool {
        self.0.recording
    }

    /// The records so far.
    pub fn records(&self) -> &[Record] {
        &self.0.records
    }

    /// Takes the records so far.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.0.records)
    }

    /// Forgets what a program would have written after an instant, at which it was killed in the midst of a pass.
    pub fn forget(&mut self, node: NodeId, after: Time) {
        self.0.records.retain(|record| record.node != node || record.time <= after);
        if let Some(notes) = &mut self.0.notes {
            notes.retain(|noted| noted.node != node || noted.time <= after);
        }
    }

    /// Keeps notes from now on.
    pub fn keep_notes(&mut self) {
        self.0.notes = Some(Vec::new());
    }

    /// The notes so far.
    pub fn notes(&self) -> &[Noted] {
        self.0.notes.as_deref().unwrap_or_default()
    }

    /// Takes the notes so far.
    pub fn take_notes(&mut self) -> Vec<Noted> {
        self.0.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_moves_the_moment_inside_a_call() {
        let mut desk = Desk::new(true);
        let out = desk.begin(Time(5_000_000), NodeId(1), EventId(1), 0);
        let before = out.wall_ms();
        out.work(Span::from_millis(2));
        assert_eq!(out.now(), Time(7_000_000));
        assert_eq!(out.wall_ms() - before, 2);
        assert_eq!(desk.ended(), Time(7_000_000));
    }
}
