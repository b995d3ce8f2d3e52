//! NeXosim: models that schedule their own methods (its example `stepper_motor`), on one thread. A model can schedule
//! events on itself only, and 16 384 models with a port to each other would be 268 million connections: the processes of
//! PHOLD are places in one model.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nexosim::model::{Context, Model, schedulable};
use nexosim::simulation::{Mailbox, SimInit, Simulation};
use nexosim::time::MonotonicTime;
use peers::{ARRIVAL_NS, Desk, SERVICE_NS, Work, delay, exponential, luck, target};
use serde::{Deserialize, Serialize};
use sim::kernel::Stream;

fn main() {
    peers::main(&[("hold", hold), ("phold", phold), ("mm1", mm1)]);
}

/// What a model found, for whoever runs it.
#[derive(Default)]
struct Found {
    sum: u64,
    served: u64,
}

type Shared = Arc<Mutex<Found>>;

fn nanos<M: Model>(cx: &Context<M>) -> u64 {
    cx.time().duration_since(MonotonicTime::EPOCH).as_nanos() as u64
}

#[derive(Serialize, Deserialize)]
struct Holder {
    size: usize,
    counts: Vec<u64>,
    #[serde(skip, default = "luck")]
    luck: Stream,
    sum: u64,
    #[serde(skip)]
    found: Shared,
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.found.lock().expect("nobody panicked").sum = self.sum;
    }
}

#[Model]
impl Holder {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        for place in 0..self.size {
            let delay = Duration::from_nanos(delay(self.luck.bits()));
            if self.counts.is_empty() {
                cx.schedule_event(delay, schedulable!(Self::tick), ()).expect("it lies ahead");
            } else {
                cx.schedule_event(delay, schedulable!(Self::at), place).expect("it lies ahead");
            }
        }
    }

    #[nexosim(schedulable)]
    fn tick(&mut self, _: (), cx: &Context<Self>) {
        self.sum = self.sum.wrapping_add(nanos(cx));
        let delay = Duration::from_nanos(delay(self.luck.bits()));
        cx.schedule_event(delay, schedulable!(Self::tick), ()).expect("it lies ahead");
    }

    #[nexosim(schedulable)]
    fn at(&mut self, here: usize, cx: &Context<Self>) {
        self.counts[here] += 1;
        self.sum = self.sum.wrapping_add(nanos(cx).wrapping_mul(here as u64 + 1));
        let draw = self.luck.bits();
        let there = target(draw, self.counts.len());
        cx.schedule_event(Duration::from_nanos(delay(draw)), schedulable!(Self::at), there).expect("it lies ahead");
    }
}

fn run(work: &Work, counts: Vec<u64>) -> u64 {
    let found = Shared::default();
    let holder = Holder { size: work.size, counts, luck: luck(), sum: 0, found: found.clone() };
    let bench = SimInit::with_num_threads(1).add_model(holder, Mailbox::new(), "holder");
    let mut simulation: Simulation = bench.init(MonotonicTime::EPOCH).expect("a right bench");
    for _ in 0..work.amount {
        simulation.step().expect("no event fails");
    }
    drop(simulation);
    let sum = found.lock().expect("nobody panicked").sum;
    sum
}

fn hold(work: &Work) -> u64 {
    run(work, Vec::new())
}

fn phold(work: &Work) -> u64 {
    run(work, vec![0; work.size])
}

#[derive(Serialize, Deserialize)]
struct Shop {
    #[serde(skip, default = "luck")]
    luck: Stream,
    #[serde(skip)]
    desk: Desk,
    #[serde(skip)]
    found: Shared,
}

#[Model]
impl Shop {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        self.next(cx);
    }

    fn next(&mut self, cx: &Context<Self>) {
        let delay = Duration::from_nanos(exponential(self.luck.bits(), ARRIVAL_NS));
        cx.schedule_event(delay, schedulable!(Self::arrive), ()).expect("it lies ahead");
    }

    fn serve(&mut self, cx: &Context<Self>) {
        let delay = Duration::from_nanos(exponential(self.luck.bits(), SERVICE_NS));
        cx.schedule_event(delay, schedulable!(Self::leave), ()).expect("it lies ahead");
    }

    #[nexosim(schedulable)]
    fn arrive(&mut self, _: (), cx: &Context<Self>) {
        self.next(cx);
        if self.desk.arrive(nanos(cx)) {
            self.serve(cx);
        }
    }

    #[nexosim(schedulable)]
    fn leave(&mut self, _: (), cx: &Context<Self>) {
        if self.desk.leave(nanos(cx)) {
            self.serve(cx);
        }
        let mut found = self.found.lock().expect("nobody panicked");
        (found.sum, found.served) = (self.desk.spent_ns, self.desk.served);
    }
}

fn mm1(work: &Work) -> u64 {
    let found = Shared::default();
    let shop = Shop { luck: luck(), desk: Desk::default(), found: found.clone() };
    let bench = SimInit::with_num_threads(1).add_model(shop, Mailbox::new(), "shop");
    let mut simulation: Simulation = bench.init(MonotonicTime::EPOCH).expect("a right bench");
    while found.lock().expect("nobody panicked").served < work.amount {
        simulation.step().expect("no event fails");
    }
    let sum = found.lock().expect("nobody panicked").sum;
    sum
}
