//! `mayday journal`: records, a line each, and what a look at the chain proves.

use crate::domain::describe::describe;
use crate::domain::event::Record;
use crate::domain::journal::Chain;

/// One line: number, time, who, what.
pub fn line(record: &Record) -> String {
    let (_, words) = describe(record);
    format!("{:>6}  {}  {:<10}  {words}", record.seq, record.at.strftime("%T"), record.actor)
}

/// What was found of a chain that is whole: what it proves, and what it cannot. `noted` is a head from outside, and the record it is of;
/// `anchored` whether an anchor tells how far it had come.
pub fn proof(chain: &Chain, noted: Option<(&str, u64)>, anchored: bool) -> String {
    let whole = format!("whole up to record {}, head {}", chain.records, chain.head);
    let proves = match noted {
        None if !anchored => "NO ANCHOR LIES BESIDE IT (journal.anchor): whether records were cut off its end, nobody can tell here. In a \
            state directory that is a loss: an engine opens it only by a typed phrase. Compare with a head that was noted outside: \
            mayday journal verify --head HEAD"
            .to_owned(),
        None => "Proven: nothing before that was altered, cut off or put in since it was written. Not proven: that nobody rewrote all of it; \
            compare with a head that was noted outside (messages, reviews and drills carry it): mayday journal verify --head HEAD"
            .to_owned(),
        Some((head, seq)) => format!(
            "It came by the noted head {head} at record {seq}: up to there it is the one that was noted. What came after that is held \
            together only by its own chain."
        ),
    };
    format!("{whole}\n{proves}")
}
