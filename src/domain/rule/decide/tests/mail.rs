//! Mail that a relay takes in part, several letters at once, and letters whose fate a person has to tell.

use std::time::Duration;

use super::bench::Bench;
use super::comms::{bench, delivered, handed, looked, on, out, tell};
use crate::domain::fact::command::{Ask, Effect, Errand, RefusalReason as Why, Report};
use crate::domain::fact::comms::{Delivery, Found, Handed, PartPhase, Rest};
use crate::domain::fact::system::Receipt;
use crate::domain::fault::Fault;
use crate::domain::ids::{ChannelId, MessageId};
use crate::domain::rule::comms::standing;
use crate::domain::spec::comms::{CONNECTIONS, Purpose};

/// A bench whose customers are so many parts, of which the relay takes so many at once.
fn mailed(parts: u32, connections: u64) -> Bench {
    let mut bench = bench(false);
    let mail = bench.estate.channels.iter_mut().find(|spec| spec.id.as_str() == "mail").unwrap();
    mail.params.0.insert(CONNECTIONS.into(), connections.into());
    let count = |id: &ChannelId| if id.as_str() == "mail" { parts } else { 1 };
    bench.counts = Some(bench.estate.channels.iter().map(|spec| (spec.id.clone(), Ok(count(&spec.id)))).collect());
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    bench
}

fn mails(bench: &Bench) -> Vec<Errand> {
    let of = |effect: &Effect| match effect {
        Effect::Deliver(errand) if errand.channel.as_str() == "mail" => Some(errand.clone()),
        _ => None,
    };
    bench.effects.iter().filter_map(of).collect()
}

fn accepted(count: usize) -> Receipt {
    Receipt::from([("accepted".to_owned(), count.to_string())])
}

fn delivery(bench: &Bench) -> Delivery {
    let mut posted = bench.state.outbox.messages.iter().rev();
    posted.find_map(|it| it.deliveries.get("mail")).unwrap().clone()
}

#[test]
fn many_letters_go_out_several_at_once_and_few_do_not() {
    for (parts, connections, at_once) in [(5, 20, 1), (30, 20, 3), (1000, 20, 20), (1000, 4, 4), (30, 1, 1)] {
        let bench = mailed(parts, connections);
        assert_eq!(mails(&bench).len(), at_once, "{parts} parts by {connections} connections");
    }
    // A relay of a second for each letter, and a thousand customers who get one each.
    let (mut bench, mut seconds) = (mailed(1000, 20), 0);
    while !delivery(&bench).is_settled() {
        let open = std::mem::take(&mut bench.effects);
        bench.pass(1);
        seconds += 1;
        for effect in open {
            if let Effect::Deliver(errand) = effect {
                delivered(&mut bench, &errand, Ok(accepted(1)));
            }
        }
    }
    assert!(seconds <= 60, "{seconds} s");
}

#[test]
fn who_is_put_off_becomes_a_part_that_waits_for_nobody_and_keeps_nobody_waiting() {
    let mut bench = mailed(2, 1);
    let first = on(&bench, "mail");
    let rest = |mark: &str, seconds| Rest {
        only: vec![mark.into()],
        wait: Duration::from_secs(seconds),
        why: "1 of 50 recipients are put off: Greylisted".into(),
    };
    let outcome = Handed { receipt: accepted(48), taken: true, rest: vec![rest("aa", 0), rest("bb", 300)] };
    handed(&mut bench, &first, Ok(outcome));
    let second = on(&bench, "mail");
    assert_eq!((second.parcel.part, second.parcel.only.is_empty()), (1, true), "the other part is not kept waiting");
    delivered(&mut bench, &second, Ok(accepted(50)));
    let third = on(&bench, "mail");
    assert_eq!((third.parcel.part, third.parcel.parts, &third.parcel.only[..]), (2, 2, &["aa".to_owned()][..]));
    delivered(&mut bench, &third, Ok(accepted(1)));
    assert_eq!((on(&bench, "mail").parcel.part, delivery(&bench).phase()), (2, PartPhase::Retrying), "it is too early");
    bench.pass(299);
    bench.report(Report::CommsDue {});
    assert_eq!(on(&bench, "mail").parcel.part, 2);
    bench.pass(2);
    bench.report(Report::CommsDue {});
    let last = on(&bench, "mail");
    assert_eq!((last.parcel.part, &last.parcel.only[..]), (3, &["bb".to_owned()][..]));
    // Put off again, alone: it stays the part that it is, until it was tried for long enough.
    let again = || Ok(Handed { receipt: accepted(0), taken: false, rest: vec![rest("bb", 300)] });
    handed(&mut bench, &last, again());
    assert_eq!((delivery(&bench).parts.len(), delivery(&bench).phase()), (4, PartPhase::Retrying));
    for _ in 0..20 {
        bench.pass(301);
        bench.report(Report::CommsDue {});
        let errand = on(&bench, "mail");
        handed(&mut bench, &errand, again());
    }
    let left = delivery(&bench);
    assert_eq!((left.phase(), left.sent()), (PartPhase::Failed, 3));
    let (_, words) = standing(&left, bench.now);
    assert!(words.starts_with("FAILED 1 of 4 parts, 3 sent: 1 of 50 recipients are put off: Greylisted"), "{words}");
}

#[test]
fn what_is_left_survives_a_restart() {
    let mut bench = mailed(1, 1);
    let first = on(&bench, "mail");
    let rest = Rest { only: vec!["aa".into()], wait: Duration::from_secs(60), why: "later".into() };
    handed(&mut bench, &first, Ok(Handed { receipt: accepted(1), taken: true, rest: vec![rest] }));
    bench.effects.clear();
    bench.restart();
    bench.pass(61);
    bench.report(Report::CommsDue {});
    assert_eq!(mails(&bench).iter().map(|it| it.parcel.only.clone()).collect::<Vec<_>>(), [["aa".to_owned()]]);
}

#[test]
fn a_person_says_what_became_of_a_letter_that_nobody_can_look_for() {
    let unknown = || {
        let mut bench = mailed(1, 1);
        let mail = on(&bench, "mail");
        delivered(&mut bench, &mail, Err(Fault::ambiguous("mail", "the answer never came")));
        looked(&mut bench, &mail, Ok(Found::Untold("no mailbox can be looked into".into())));
        assert_eq!(delivery(&bench).phase(), PartPhase::Unknown);
        (bench, mail.parcel.message)
    };
    let settle = |message: &MessageId, arrived, reason: &str| Ask::SettleDelivery {
        message: message.clone(),
        channel: "mail".into(),
        arrived,
        reason: reason.into(),
    };
    let (mut bench, message) = unknown();
    assert_eq!(bench.ask(settle(&message, true, " ")).unwrap_err().reason, Why::ReasonMissing);
    bench.ask(settle(&message, true, "the relay's log has all fifty")).unwrap();
    assert_eq!((delivery(&bench).phase(), mails(&bench).len()), (PartPhase::Sent, 1), "nothing is sent again");
    assert_eq!(bench.ask(settle(&message, false, "x")).unwrap_err().reason, Why::Conflict, "it is known");

    let (mut bench, message) = unknown();
    bench.ask(settle(&message, false, "a customer called: no letter")).unwrap();
    let left = delivery(&bench);
    assert_eq!((left.phase(), mails(&bench).len()), (PartPhase::Failed, 1), "and nothing is sent by itself");
    assert!(left.trouble().unwrap().what.contains("no letter"));
    let retry = Ask::RetryDelivery { message, channel: "mail".into(), reason: String::new() };
    bench.ask(retry).unwrap();
    assert_eq!(mails(&bench).len(), 2, "it is known not to have arrived: a second try does no harm");
}
