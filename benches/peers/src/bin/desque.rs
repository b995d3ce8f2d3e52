//! desque: events are values that are executed with the simulation at hand (its example `mm1_queue`).

use desque::serial::{Event, Simulation};
use desque::{Result, SimState};
use peers::{ARRIVAL_NS, Desk, SERVICE_NS, Work, delay, exponential, luck, target};
use sim::kernel::Stream;

fn main() {
    peers::main(&[("hold", hold), ("phold", phold), ("mm1", mm1)]);
}

struct State {
    luck: Stream,
    left: u64,
    sum: u64,
    counts: Vec<u64>,
    desk: Desk,
}

impl SimState<u64> for State {
    fn is_complete(&self, _: &u64) -> bool {
        self.left == 0
    }
}

fn simulation(work: &Work) -> Simulation<State, u64> {
    let counts = vec![0; work.size];
    Simulation::new(State { luck: luck(), left: work.amount, sum: 0, counts, desk: Desk::default() }, 0)
}

#[derive(Debug)]
struct Hold;

impl Event<State, u64> for Hold {
    fn execute(&mut self, sim: &mut Simulation<State, u64>) -> Result {
        let now = *sim.current_time();
        let state = sim.state_mut();
        state.left -= 1;
        state.sum = state.sum.wrapping_add(now);
        let delay = delay(state.luck.bits());
        sim.schedule(Hold, now + delay)
    }
}

fn hold(work: &Work) -> u64 {
    let mut sim = simulation(work);
    for _ in 0..work.size {
        let at = delay(sim.state_mut().luck.bits());
        sim.schedule(Hold, at).expect("it lies ahead");
    }
    sim.run().expect("no event fails");
    sim.state().sum
}

#[derive(Debug)]
struct At(usize);

impl Event<State, u64> for At {
    fn execute(&mut self, sim: &mut Simulation<State, u64>) -> Result {
        let now = *sim.current_time();
        let state = sim.state_mut();
        state.left -= 1;
        state.counts[self.0] += 1;
        state.sum = state.sum.wrapping_add(now.wrapping_mul(self.0 as u64 + 1));
        let draw = state.luck.bits();
        let there = target(draw, state.counts.len());
        sim.schedule(At(there), now + delay(draw))
    }
}

fn phold(work: &Work) -> u64 {
    let mut sim = simulation(work);
    for n in 0..work.size {
        let at = delay(sim.state_mut().luck.bits());
        sim.schedule(At(n), at).expect("it lies ahead");
    }
    sim.run().expect("no event fails");
    sim.state().sum
}

#[derive(Debug)]
struct Arrival;
#[derive(Debug)]
struct Service;

fn serve(sim: &mut Simulation<State, u64>) -> Result {
    let end = *sim.current_time() + exponential(sim.state_mut().luck.bits(), SERVICE_NS);
    sim.schedule(Service, end)
}

impl Event<State, u64> for Arrival {
    fn execute(&mut self, sim: &mut Simulation<State, u64>) -> Result {
        let now = *sim.current_time();
        let next = now + exponential(sim.state_mut().luck.bits(), ARRIVAL_NS);
        sim.schedule(Arrival, next)?;
        if sim.state_mut().desk.arrive(now) { serve(sim) } else { Ok(()) }
    }
}

impl Event<State, u64> for Service {
    fn execute(&mut self, sim: &mut Simulation<State, u64>) -> Result {
        let now = *sim.current_time();
        let state = sim.state_mut();
        state.left -= 1;
        if state.desk.leave(now) { serve(sim) } else { Ok(()) }
    }
}

fn mm1(work: &Work) -> u64 {
    let mut sim = simulation(work);
    let first = exponential(sim.state_mut().luck.bits(), ARRIVAL_NS);
    sim.schedule(Arrival, first).expect("it lies ahead");
    sim.run().expect("no event fails");
    sim.state().desk.spent_ns
}
