//! What a journal in a bucket consists of: slots, numbered without a gap, each written once and never changed. A slot holds what one append
//! wrote, or a mark: that an engine has taken the lead, or has given it up. So the end of the journal is one name that either is taken or is
//! not, and whoever takes it first has it.

use serde::{Deserialize, Serialize};

use super::chain::{Hash, Row, head_of, hex, unhex};
use crate::domain::journal::{Chain, Term};

/// The form of a slot; a newer one is not read.
const FORM: u32 = 1;

/// What a slot says of the lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mark {
    Taken,
    GivenUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    hash: String,
    body: String,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slot {
    form: u32,
    pub term: u64,
    /// Made at random for each write: two that hold the same are told apart, and one's own is known again.
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// The number and the hash of the record before.
    after: u64,
    head: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Kept>,
}

impl Slot {
    /// What an append writes; `None` when a record is no text.
    pub fn of_rows(term: Term, by: String, after: &End, rows: &[Row]) -> Option<Self> {
        let kept = |row: &Row| Some(Kept { hash: hex(&row.hash), body: String::from_utf8(row.body.clone()).ok()? });
        Some(Self { rows: rows.iter().map(kept).collect::<Option<_>>()?, ..Self::of_mark(term, by, after, None) })
    }

    pub fn of_mark(term: Term, by: String, after: &End, mark: Option<Mark>) -> Self {
        Self { form: FORM, term: term.0, by, mark, after: after.seq, head: hex(&after.hash), rows: Vec::new() }
    }

    /// # Errors
    /// Why it cannot be read.
    pub fn read(text: &str) -> Result<Self, String> {
        let slot: Self = serde_json::from_str(text).map_err(|error| format!("is no slot of a journal: {error}"))?;
        match slot.form {
            FORM => Ok(slot),
            newer => Err(format!("is of form {newer}, which a newer Mayday writes: install that here, too")),
        }
    }

    /// The number of its last record, or of the one before where it has none.
    pub fn last(&self) -> u64 {
        self.after + self.rows.len() as u64
    }

    /// Its records, as they are kept; a hash that is none fits no chain.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let row = |(seq, kept): (u64, &Kept)| Row {
            seq,
            body: kept.body.clone().into_bytes(),
            hash: unhex(&kept.hash).map(Vec::from).unwrap_or_default(),
        };
        (self.after + 1..).zip(&self.rows).map(row)
    }

    /// The hash of a record that it holds, in hex.
    pub fn hash_of(&self, seq: u64) -> Option<&str> {
        let nth = usize::try_from(seq.checked_sub(self.after + 1)?).ok()?;
        self.rows.get(nth).map(|row| row.hash.as_str())
    }

    /// Whether its last record's hash begins so.
    pub fn find(&self, beginning: &str) -> Option<u64> {
        let nth = self.rows.iter().rposition(|row| row.hash.starts_with(beginning))?;
        Some(self.after + 1 + nth as u64)
    }

    /// Where the journal stands after it, read on its own.
    fn end(&self, number: u64) -> Option<End> {
        let head = self.rows.last().map_or(&self.head, |row| &row.hash);
        let is_led = self.mark != Some(Mark::GivenUp);
        Some(End { slots: number, seq: self.last(), hash: unhex(head)?, term: self.term, is_led })
    }
}

/// How far a journal has come, slot by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The number of the last slot.
    pub slots: u64,
    pub seq: u64,
    pub hash: Hash,
    /// The newest lead, and whether it is still held.
    pub term: u64,
    pub is_led: bool,
}

impl End {
    /// The name of a slot; names have the order of their numbers.
    pub fn key(number: u64) -> String {
        format!("slots/{number:016}")
    }

    pub fn chain(&self) -> Chain {
        Chain { records: self.seq, head: head_of(self.seq, &self.hash) }
    }

    /// Where it stands after its last slot alone.
    ///
    /// # Errors
    /// When that makes no sense.
    pub fn at(number: u64, slot: &Slot) -> Result<Self, String> {
        slot.end(number).ok_or_else(|| "has a hash that is none".into())
    }

    /// Goes on by the next slot.
    ///
    /// # Errors
    /// When it does not follow: another chain, or a lead that was over.
    pub fn follow(&self, slot: &Slot) -> Result<Self, String> {
        if (slot.after, slot.head.as_str()) != (self.seq, hex(&self.hash).as_str()) {
            return Err(format!("does not follow record {}: the journal was altered", self.seq));
        }
        let fits = match slot.mark {
            Some(Mark::Taken) => slot.term > self.term,
            Some(Mark::GivenUp) | None => slot.term == self.term && self.is_led,
        };
        if !fits {
            return Err(format!("is of term {}, and term {} had begun before it", slot.term, self.term));
        }
        Self::at(self.slots + 1, slot)
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::hash;
    use super::*;

    fn rows(after: &End, texts: &[&str]) -> Vec<Row> {
        let mut head = after.hash;
        let mut row = |(seq, text): (u64, &&str)| {
            head = hash(&head, text.as_bytes());
            Row { seq, body: text.as_bytes().to_vec(), hash: head.to_vec() }
        };
        (after.seq + 1..).zip(texts).map(&mut row).collect()
    }

    #[test]
    fn slots_follow_one_another_and_a_lead_that_is_over_writes_nothing() {
        let start = End::default();
        let taken = |end: &End, term| Slot::of_mark(Term(term), "a".into(), end, Some(Mark::Taken));
        let one = start.follow(&taken(&start, 1)).unwrap();
        assert_eq!((one.slots, one.seq, one.term, one.is_led), (1, 0, 1, true));
        let written = rows(&one, &["{\"a\":1}", "{\"b\":\"\\n\"}"]);
        let slot = Slot::of_rows(Term(1), "b".into(), &one, &written).unwrap();
        let slot = Slot::read(&serde_json::to_string(&slot).unwrap()).unwrap();
        assert_eq!(slot.rows().collect::<Vec<_>>(), written);
        assert_eq!(
            (slot.hash_of(2), slot.hash_of(0), slot.hash_of(3)),
            (Some(hex(&written[1].hash).as_str()), None, None)
        );
        assert_eq!(slot.find(&hex(&written[0].hash)[..8]), Some(1));
        let two = one.follow(&slot).unwrap();
        assert_eq!((two.slots, two.seq, two.chain().head), (2, 2, hex(&written[1].hash)));
        assert_eq!(End::at(2, &slot).unwrap(), two, "it can be read from its last slot alone");

        let three = two.follow(&taken(&two, 2)).unwrap();
        let late = Slot::of_rows(Term(1), "c".into(), &three, &rows(&three, &["{}"])).unwrap();
        assert!(three.follow(&late).unwrap_err().contains("term 2 had begun"));
        assert!(three.follow(&taken(&three, 2)).is_err(), "a lead is taken once");
        let given = three.follow(&Slot::of_mark(Term(2), "d".into(), &three, Some(Mark::GivenUp))).unwrap();
        let after = Slot::of_rows(Term(2), "e".into(), &given, &rows(&given, &["{}"])).unwrap();
        assert!(given.follow(&after).is_err(), "it was given up");
        assert!(given.follow(&slot).unwrap_err().contains("does not follow record 2"));
    }

    #[test]
    fn what_is_no_slot_or_a_newer_one_is_told_apart() {
        assert!(Slot::read("{}").unwrap_err().contains("no slot"));
        let newer = Slot { form: 2, ..Slot::of_mark(Term(1), "a".into(), &End::default(), None) };
        assert!(Slot::read(&serde_json::to_string(&newer).unwrap()).unwrap_err().contains("newer Mayday"));
        assert!(End::key(9) < End::key(10));
    }
}
