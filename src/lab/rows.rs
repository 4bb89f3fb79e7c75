//! What a store holds, write by write: enough to count and to sum up what was written until a moment. Each copy has its own, so that
//! what one of them lost or altered can be seen.

use std::collections::VecDeque;

use jiff::Timestamp;

/// So many writes are kept one by one: hours of them at the lab's usual pace.
const KEPT: usize = 100_000;

/// How much there is, and a digest of it: two copies that hold the same have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub count: u64,
    pub digest: u64,
}

impl Held {
    pub const NOTHING: Self = Self { count: 0, digest: 0xcbf2_9ce4_8422_2325 };

    /// With one more: FNV-1a over its bytes.
    pub fn and(self, bytes: &[u8]) -> Self {
        let fold = |digest: u64, byte: &u8| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self { count: self.count + 1, digest: bytes.iter().fold(self.digest, fold) }
    }
}

/// One write, and all that was held with it.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: Timestamp,
    held: Held,
}

/// All writes that a copy holds, in their order.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: VecDeque<Row>,
    /// What was held before the first of them.
    before: Option<Held>,
}

impl Rows {
    fn last(&self) -> Held {
        self.rows.back().map(|row| row.held).or(self.before).unwrap_or(Held::NOTHING)
    }

    /// Takes a write. None is older than the one before it: a store gives them their order.
    pub fn push(&mut self, at: Timestamp) {
        let at = self.rows.back().map_or(at, |last| last.at.max(at));
        let held = self.last().and(&at.as_nanosecond().to_be_bytes());
        self.rows.push_back(Row { at, held });
        if self.rows.len() > KEPT {
            self.before = self.rows.pop_front().map(|row| row.held);
        }
    }

    /// What is held of everything that was written until `until`; `None` when that is too long ago to be told.
    pub fn until(&self, until: Timestamp) -> Option<Held> {
        match self.rows.partition_point(|row| row.at <= until) {
            0 if self.before.is_some() => None,
            0 => Some(Held::NOTHING),
            end => Some(self.rows[end - 1].held),
        }
    }

    /// Loses the second of the writes that are kept: what damaged storage does. It is an old one, so that whoever compares what was
    /// held at an earlier moment sees it.
    pub fn lose_one(&mut self) {
        let at = 1.min(self.rows.len().saturating_sub(1));
        if self.rows.remove(at).is_none() {
            return;
        }
        let times: Vec<Timestamp> = self.rows.drain(at..).map(|row| row.at).collect();
        times.into_iter().for_each(|at| self.push(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn copies_of_the_same_are_the_same_until_any_moment_and_what_is_lost_shows() {
        let (mut one, mut other) = (Rows::default(), Rows::default());
        for second in 0..10 {
            one.push(at(second));
            if second < 7 {
                other.push(at(second));
            }
        }
        assert_eq!(one.until(at(5)), other.until(at(5)));
        assert_eq!(one.until(at(5)).unwrap().count, 6);
        assert_eq!((one.until(at(60)).unwrap().count, other.until(at(60)).unwrap().count), (10, 7));
        assert_eq!(one.until(at(-1)), Some(Held::NOTHING));
        let before = other.until(at(6));
        other.lose_one();
        assert_ne!(other.until(at(6)), before);
        assert_eq!(other.until(at(6)).unwrap().count, 6);
        assert_eq!(other.until(at(0)), one.until(at(0)), "what was written before the lost one is as it was");
    }
}
