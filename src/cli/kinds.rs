//! `mayday kinds`: the tables of what can be watched and failed over.

use std::io::{self, Write};

use serde_json::Value;

use crate::config::suggest::one_of;
use crate::domain::comms::{ChannelKind, Doubles};
use crate::domain::kinds::{Kinds, Need, Param, ProbeKind, StepKind, SystemKind, Undo};
use crate::domain::system::Fault;

/// A row of the tables, by its name.
enum Row {
    System(&'static SystemKind),
    Probe(&'static ProbeKind),
    Step(&'static StepKind),
    Channel(&'static ChannelKind),
}

/// Prints the list of systems, or all there is about one system, probe or step; as JSON if `json`.
///
/// # Errors
/// When nothing is of that name, or `out` cannot be written to.
pub fn kinds(kinds: &Kinds, name: Option<&str>, json: bool, out: &mut impl Write) -> Result<(), Fault> {
    let Some(name) = name else {
        let said = if json { print_json(all(kinds), out) } else { list(kinds, out) };
        return said.map_err(unwritten);
    };
    let rows = find(kinds, name)?;
    let said = match (&rows[..], json) {
        ([row], true) => print_json(row.json(), out),
        (rows, true) => print_json(rows.iter().map(Row::json).collect(), out),
        (rows, false) => rows.iter().enumerate().try_for_each(|(nth, row)| {
            if nth > 0 {
                writeln!(out)?;
            }
            row.tell(out)
        }),
    };
    said.map_err(unwritten)
}

fn unwritten(error: io::Error) -> Fault {
    Fault::permanent("kinds", format!("the output cannot be written: {error}"))
}

impl Row {
    fn json(&self) -> serde_json::Result<Value> {
        match self {
            Self::System(row) => serde_json::to_value(row),
            Self::Probe(row) => serde_json::to_value(row),
            Self::Step(row) => serde_json::to_value(row),
            Self::Channel(row) => serde_json::to_value(row),
        }
    }

    fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::System(row) => system(row, out),
            Self::Probe(row) => probe(row, out),
            Self::Step(row) => step(row, out),
            Self::Channel(row) => channel(row, out),
        }
    }
}

/// Whether anything is of that name.
pub fn is_known(kinds: &Kinds, name: &str) -> bool {
    find(kinds, name).is_ok()
}

/// Everything of that name: a probe and a step may share it.
fn find(kinds: &Kinds, name: &str) -> Result<Vec<Row>, Fault> {
    let system = kinds.system(name).map(Row::System);
    let probe = kinds.probe(name).map(|(_, row)| Row::Probe(row));
    let step = kinds.step(name).map(|(_, row)| Row::Step(row));
    let channel = kinds.channel(name).map(Row::Channel);
    let found: Vec<Row> = [system, probe, step, channel].into_iter().flatten().collect();
    if found.is_empty() {
        let systems = kinds.0.iter().flat_map(|it| names_of(it));
        let names: Vec<&str> = systems.chain(kinds.1.iter().map(|it| it.name)).collect();
        return Err(Fault::permanent("kinds", format!("there is no kind `{name}`")).next(one_of(name, &names)));
    }
    Ok(found)
}

fn names_of(system: &SystemKind) -> impl Iterator<Item = &'static str> {
    let inner = system.probes.iter().map(|it| it.name).chain(system.steps.iter().map(|it| it.name));
    std::iter::once(system.name).chain(inner)
}

/// A list of rows: systems first, then channels.
fn all(kinds: &Kinds) -> serde_json::Result<Value> {
    let systems = kinds.0.iter().map(serde_json::to_value);
    systems.chain(kinds.1.iter().map(serde_json::to_value)).collect()
}

fn print_json(value: serde_json::Result<Value>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:#}", value?)
}

fn list(kinds: &Kinds, out: &mut impl Write) -> io::Result<()> {
    for system in kinds.0 {
        writeln!(out, "{:<12} {}", system.name, system.title)?;
        for probe in system.probes {
            writeln!(out, "  probe {:<28} {}", probe.name, probe.title)?;
        }
        for step in system.steps {
            writeln!(out, "  step  {:<28} {}", step.name, step.title)?;
        }
    }
    for channel in kinds.1 {
        writeln!(out, "{:<18} channel: {}", channel.name, channel.title)?;
    }
    writeln!(out, "\n`mayday kinds NAME` tells all about one of them.")
}

fn system(row: &SystemKind, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "system {}: {}", row.name, row.title)?;
    if row.ambient {
        writeln!(out, "  needs no [[system]]: probes and steps use it by kind alone")?;
    }
    params(row.params, out)?;
    for row in row.probes {
        writeln!(out)?;
        probe(row, out)?;
    }
    for row in row.steps {
        writeln!(out)?;
        step(row, out)?;
    }
    Ok(())
}

fn probe(row: &ProbeKind, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "probe {}: {}", row.name, row.title)?;
    params(row.params, out)
}

fn step(row: &StepKind, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "step {}: {}", row.name, row.title)?;
    let undo = match row.undo {
        Undo::Nothing => "changes nothing".to_owned(),
        Undo::Revert => "can be reverted".to_owned(),
        Undo::PointOfNoReturn => format!("no way back; instead: {}", row.instead),
    };
    writeln!(out, "  {}; {undo}", row.role)?;
    params(row.params, out)
}

fn channel(row: &ChannelKind, out: &mut impl Write) -> io::Result<()> {
    let words = |words: Vec<&str>| words.join(", ");
    writeln!(out, "channel {}: {}", row.name, row.title)?;
    writeln!(out, "  for {}", words(row.audiences.iter().map(|it| it.word()).collect()))?;
    writeln!(out, "  carries {}", words(row.carries.iter().map(|it| it.word()).collect()))?;
    let doubles = match row.doubles {
        Doubles::Recognised => "looks before it sends again: at least once, and a double is recognised",
        Doubles::Undetectable => "nobody can look: at most once; what is not known is not sent again by itself",
    };
    writeln!(out, "  {doubles}")?;
    params(row.params, out)
}

fn params(rows: &[Param], out: &mut impl Write) -> io::Result<()> {
    for row in rows {
        let need = match row.need {
            Need::Required => "required".to_owned(),
            Need::Optional => "optional".to_owned(),
            Need::Default(value) => format!("default {value}"),
        };
        writeln!(out, "  {:<18} {} ({}; {need})", row.name, row.help, row.ty)?;
    }
    Ok(())
}
