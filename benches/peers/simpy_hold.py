"""SimPy: a process a pending event, which waits a random time again and again. Its draws are Python's own (Mersenne
Twister, 37 bits): the checksum is not that of the other programs."""

import random
import sys
import time

import simpy


def holder(env, draw, state):
    while True:
        yield env.timeout(1 + draw(37))
        state[0] += env.now
        state[1] += 1
        if state[1] == state[2]:
            state[3].succeed()


def main():
    _, work, size, amount = sys.argv
    assert work == "hold", f"this program does not do {work}"
    start = time.perf_counter()
    env = simpy.Environment()
    state = [0, 0, int(amount), env.event()]
    draw = random.Random(1).getrandbits
    for _ in range(int(size)):
        env.process(holder(env, draw, state))
    env.run(until=state[3])
    print(time.perf_counter() - start, amount, f"{state[0] & (2**64 - 1):016x}")


main()
