//! What is said of a message after an answer that was lost: a row for each thing that came of looking for it.

use super::super::super::comms::{Found, PartPhase, Purpose};
use super::super::super::system::{Fault, Receipt};
use super::comms::{bench, delivered, looked, on, out, tell};

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
