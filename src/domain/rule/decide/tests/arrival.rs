//! What is said of a message after an answer that was lost: a row for each thing that came of looking for it.

use super::comms::{bench, delivered, looked, on, out, tell};
use crate::domain::fact::comms::{Found, PartPhase};
use crate::domain::fact::system::Receipt;
use crate::domain::fault::Fault;
use crate::domain::rule::comms::due;
use crate::domain::spec::comms::Purpose;

#[test]
fn where_nobody_can_look_nobody_says_that_it_is_not_there() {
    type Row = (&'static str, Result<Found, Fault>, PartPhase, &'static str);
    let rows: [Row; 6] = [
        ("it is there", Ok(Found::There(Receipt::new())), PartPhase::Sent, ""),
        ("it is not there", Ok(Found::NotThere), PartPhase::Retrying, "it was looked for, and is not there"),
        ("a double is dropped", Ok(Found::Harmless), PartPhase::Retrying, "whether it arrived is not known"),
        ("nobody can look", Ok(Found::Untold("full".into())), PartPhase::Unknown, "full"),
        ("it could not be asked", Err(Fault::transient("mail", "no answer")), PartPhase::Unknown, "no answer"),
        ("it was refused", Err(Fault::permanent("mail", "401")), PartPhase::Unknown, "401"),
    ];
    for (what, outcome, wanted, words) in rows {
        let mut bench = bench(false);
        bench.ask(tell(Purpose::Investigating)).unwrap();
        out(&mut bench);
        let mail = on(&bench, "mail");
        delivered(&mut bench, &mail, Err(Fault::ambiguous("mail", "the answer never came")));
        looked(&mut bench, &mail, outcome);
        let part = bench.state.outbox.part(&mail.parcel.message, &mail.channel, mail.parcel.part).unwrap();
        let said = part.fault.as_ref().map(|fault| fault.what.clone()).unwrap_or_default();
        assert!(part.phase == wanted && said.contains(words), "{what}: {:?}, {said}", part.phase);
    }
}

#[test]
fn what_was_sent_by_a_channel_that_is_gone_is_unknown_and_not_awaited_for_ever() {
    let mut bench = bench(false);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    let mail = on(&bench, "mail");
    bench.estate.channels.retain(|spec| spec.id.as_str() != "mail");
    bench.restart();
    let part = bench.state.outbox.part(&mail.parcel.message, &mail.channel, mail.parcel.part).unwrap();
    let said = part.fault.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(part.phase == PartPhase::Unknown && said.contains("not in the config any more"), "{said}");
}

#[test]
fn an_update_that_reached_nobody_is_not_counted_as_told() {
    type Row = (&'static str, fn(&str) -> Option<Result<Receipt, Fault>>, bool);
    let rows: [Row; 5] = [
        ("all have failed", |_| Some(Err(Fault::permanent("x", "the token is refused"))), false),
        (
            "one got through",
            |id| Some(if id == "chat" { Ok(Receipt::new()) } else { Err(Fault::permanent("x", "no")) }),
            true,
        ),
        ("one is under way", |id| (id != "chat").then(|| Err(Fault::permanent("x", "no"))), true),
        (
            "one will be tried again",
            |id| Some(Err(if id == "chat" { Fault::transient("x", "503") } else { Fault::permanent("x", "no") })),
            true,
        ),
        (
            "of one it is not known",
            |id| Some(Err(if id == "chat" { Fault::ambiguous("x", "lost") } else { Fault::permanent("x", "no") })),
            true,
        ),
    ];
    for (what, outcome, told) in rows {
        let mut bench = bench(false);
        let first = due(&bench.estate, &bench.state).unwrap();
        bench.ask(tell(Purpose::Investigating)).unwrap();
        out(&mut bench);
        for channel in ["chat", "page", "mail"] {
            let errand = on(&bench, channel);
            outcome(channel).into_iter().for_each(|outcome| delivered(&mut bench, &errand, outcome));
        }
        let next = due(&bench.estate, &bench.state).unwrap();
        assert_eq!(next.at > first.at, told, "{what}: {next:?}");
        assert_eq!(next.moved, !told, "{what}: {next:?}");
    }
}
