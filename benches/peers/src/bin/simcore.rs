//! simcore: components with a context each, which emit events to one another (its example `intro-callbacks`). Its time is
//! a float; whole nanoseconds up to 2⁵³ are exact in it.

use std::cell::RefCell;
use std::rc::Rc;

use peers::{ARRIVAL_NS, Desk, SERVICE_NS, Work, delay, exponential, luck, target};
use serde::Serialize;
use sim::kernel::Stream;
use simcore::{Event, EventHandler, Id, Simulation, SimulationContext, cast};

fn main() {
    peers::main(&[("hold", hold), ("phold", phold), ("mm1", mm1)]);
}

#[derive(Clone, Serialize)]
struct Tick {}

struct Holder {
    ctx: SimulationContext,
    luck: Stream,
    sum: u64,
}

impl EventHandler for Holder {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Tick {} => {
                self.sum = self.sum.wrapping_add(event.time as u64);
                self.ctx.emit_self(Tick {}, delay(self.luck.bits()) as f64);
            }
        })
    }
}

fn hold(work: &Work) -> u64 {
    let mut sim = Simulation::new(1);
    let mut holder = Holder { ctx: sim.create_context("holder"), luck: luck(), sum: 0 };
    for _ in 0..work.size {
        holder.ctx.emit_self(Tick {}, delay(holder.luck.bits()) as f64);
    }
    let holder = Rc::new(RefCell::new(holder));
    sim.add_handler("holder", holder.clone());
    sim.steps(work.amount);
    holder.borrow().sum
}

/// What all processes share.
struct Shared {
    luck: Stream,
    sum: u64,
    ids: Vec<Id>,
}

struct Process {
    ctx: SimulationContext,
    place: u64,
    count: u64,
    shared: Rc<RefCell<Shared>>,
}

impl EventHandler for Process {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Tick {} => {
                self.count += 1;
                let mut shared = self.shared.borrow_mut();
                shared.sum = shared.sum.wrapping_add((event.time as u64).wrapping_mul(self.place + 1));
                let draw = shared.luck.bits();
                let there = shared.ids[target(draw, shared.ids.len())];
                self.ctx.emit(Tick {}, there, delay(draw) as f64);
            }
        })
    }
}

fn phold(work: &Work) -> u64 {
    let mut sim = Simulation::new(1);
    let shared = Rc::new(RefCell::new(Shared { luck: luck(), sum: 0, ids: Vec::new() }));
    for place in 0..work.size as u64 {
        let name = format!("process-{place}");
        let ctx = sim.create_context(&name);
        ctx.emit_self(Tick {}, delay(shared.borrow_mut().luck.bits()) as f64);
        let process = Process { ctx, place, count: 0, shared: shared.clone() };
        let id = sim.add_handler(&name, Rc::new(RefCell::new(process)));
        shared.borrow_mut().ids.push(id);
    }
    sim.steps(work.amount);
    shared.borrow().sum
}

#[derive(Clone, Serialize)]
struct Arrival {}
#[derive(Clone, Serialize)]
struct Departure {}

struct Shop {
    ctx: SimulationContext,
    luck: Stream,
    desk: Desk,
}

impl Shop {
    fn serve(&mut self) {
        self.ctx.emit_self(Departure {}, exponential(self.luck.bits(), SERVICE_NS) as f64);
    }
}

impl EventHandler for Shop {
    fn on(&mut self, event: Event) {
        let now = event.time as u64;
        cast!(match event.data {
            Arrival {} => {
                self.ctx.emit_self(Arrival {}, exponential(self.luck.bits(), ARRIVAL_NS) as f64);
                if self.desk.arrive(now) {
                    self.serve();
                }
            }
            Departure {} => {
                if self.desk.leave(now) {
                    self.serve();
                }
            }
        })
    }
}

fn mm1(work: &Work) -> u64 {
    let mut sim = Simulation::new(1);
    let mut shop = Shop { ctx: sim.create_context("shop"), luck: luck(), desk: Desk::default() };
    shop.ctx.emit_self(Arrival {}, exponential(shop.luck.bits(), ARRIVAL_NS) as f64);
    let shop = Rc::new(RefCell::new(shop));
    sim.add_handler("shop", shop.clone());
    while shop.borrow().desk.served < work.amount {
        sim.step();
    }
    shop.borrow().desk.spent_ns
}
