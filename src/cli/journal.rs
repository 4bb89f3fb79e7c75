//! `mayday journal`: records, a line each.

use crate::domain::describe::describe;
use crate::domain::event::Record;

/// One line: number, time, who, what.
pub fn line(record: &Record) -> String {
    let (_, words) = describe(record);
    format!("{:>6}  {}  {:<10}  {words}", record.seq, record.at.strftime("%T"), record.actor)
}
