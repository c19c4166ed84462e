//! Things that are dear to make, each used by one thread at a time: kept for the next, and made anew where they are lost.

use parking_lot::{Condvar, Mutex};

/// Some of a kind.
pub(super) struct Pool<T> {
    state: Mutex<State<T>>,
    returned: Condvar,
    most: usize,
}

struct State<T> {
    idle: Vec<T>,
    /// Those that are used too.
    count: usize,
    /// How many can be had, as far as is known.
    room: usize,
    /// Whatever was made in an earlier one is lost.
    generation: u64,
}

/// One that is used.
pub(super) struct Taken<T> {
    pub(super) thing: T,
    generation: u64,
}

impl<T> Pool<T> {
    pub(super) const fn new(most: usize) -> Self {
        let state = State { idle: Vec::new(), count: 0, room: most, generation: 0 };
        Self { state: Mutex::new(state), returned: Condvar::new(), most }
    }

    /// An idle one, or a new one, or the next that comes back. Where a new one is refused for want of room, those that
    /// there are have to do.
    pub(super) fn take<E>(
        &self,
        make: impl Fn() -> Result<T, E>,
        is_want_of_room: impl Fn(&E) -> bool,
    ) -> Result<Taken<T>, E> {
        loop {
            let generation = match self.idle_or_room() {
                Ok(taken) => return Ok(taken),
                Err(generation) => generation,
            };
            match make() {
                Ok(thing) => return Ok(Taken { thing, generation }),
                Err(error) => {
                    let mut state = self.state.lock();
                    state.count -= 1;
                    self.returned.notify_all();
                    if state.count == 0 || !is_want_of_room(&error) {
                        return Err(error);
                    }
                    state.room = state.count;
                }
            }
        }
    }

    /// One that is idle; else the right to make one, in that generation.
    fn idle_or_room(&self) -> Result<Taken<T>, u64> {
        let mut state = self.state.lock();
        loop {
            let generation = state.generation;
            if let Some(thing) = state.idle.pop() {
                return Ok(Taken { thing, generation });
            }
            if state.count < state.room {
                state.count += 1;
                return Err(generation);
            }
            self.returned.wait(&mut state);
        }
    }

    /// It has done its work.
    pub(super) fn give_back(&self, taken: Taken<T>) {
        let mut state = self.state.lock();
        let lost = if taken.generation == state.generation {
            state.idle.push(taken.thing);
            None
        } else {
            state.count -= 1;
            Some(taken.thing)
        };
        drop(state);
        self.returned.notify_one();
        drop(lost);
    }

    /// With one that is lost, all that were made before now are.
    pub(super) fn lose(&self, lost: Taken<T>) {
        let mut state = self.state.lock();
        state.count -= 1;
        let mut idle = Vec::new();
        if lost.generation == state.generation {
            idle = std::mem::take(&mut state.idle);
            state.count -= idle.len();
            state.generation += 1;
            state.room = self.most;
        }
        drop(state);
        self.returned.notify_all();
        drop((lost, idle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Makes numbers, and no more than `room`.
    struct Maker {
        made: AtomicUsize,
        room: usize,
    }

    impl Maker {
        fn make(&self) -> Result<usize, &'static str> {
            let number = self.made.fetch_add(1, Ordering::SeqCst);
            if number < self.room { Ok(number) } else { Err("no room") }
        }
    }

    #[test]
    fn what_is_given_back_is_taken_again() {
        let (pool, maker) = (Pool::new(8), Maker { made: AtomicUsize::new(0), room: 9 });
        for _ in 0..3 {
            let taken = pool.take(|| maker.make(), |_| false).expect("one");
            assert_eq!(taken.thing, 0);
            pool.give_back(taken);
        }
        assert_eq!(maker.made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn cl_key_07_where_there_is_room_for_two_many_share_them() {
        let (pool, maker) = (Pool::new(8), Maker { made: AtomicUsize::new(0), room: 2 });
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let taken = pool.take(|| maker.make(), |error| *error == "no room").expect("one");
                        assert!(taken.thing < 2);
                        std::thread::yield_now();
                        pool.give_back(taken);
                    }
                });
            }
        });
        // For want of the first there is nothing to wait for, and what else is wrong is said.
        let (pool, maker) = (Pool::new(8), Maker { made: AtomicUsize::new(0), room: 0 });
        assert_eq!(pool.take(|| maker.make(), |_| true).err(), Some("no room"));
        let (pool, maker) = (Pool::new(8), Maker { made: AtomicUsize::new(0), room: 1 });
        let taken = pool.take(|| maker.make(), |_| true).expect("one");
        assert_eq!(pool.take(|| maker.make(), |_| false).err(), Some("no room"));
        pool.give_back(taken);
    }

    #[test]
    fn cl_key_07_with_one_that_is_lost_all_older_ones_are() {
        let (pool, maker) = (Pool::new(3), Maker { made: AtomicUsize::new(0), room: 99 });
        let take = || pool.take(|| maker.make(), |_| false).expect("one");
        let (idle, slow, lost) = (take(), take(), take());
        pool.give_back(idle);
        pool.lose(lost);
        // It came back after the loss, and is as old.
        pool.give_back(slow);
        let new = take();
        assert_eq!(new.thing, 3);
        pool.give_back(new);
        assert_eq!(pool.state.lock().count, 1);
    }
}
