//! What is written when it is over: the review of an incident, and the evidence of a drill.
//!
//! Records of the journal become a [`Review`] ([`fold`], which keeps nothing but the incident it was asked for), and a review, like the
//! [evidence of a drill](drill), becomes a [`Doc`](doc::Doc): headings, tables, figures. A document is written as Markdown or as one
//! HTML page that needs nothing else; text from outside is made harmless in those two files and nowhere else.

mod course;
pub mod doc;
pub mod drill;
mod figure;
pub mod fold;
mod html;
mod junit;
mod markdown;
mod page;
pub mod reports;
pub mod review;
pub mod text;
mod trend;
mod words;

pub use doc::Doc;
pub use junit::junit;
pub use reports::Reports;
pub use review::Review;
pub use trend::{Row, Trend, trend};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::fold::{Lister, Reviewer};
    use super::review::{Review, Verified};
    use super::{page, reports};
    use crate::domain::actor::Actor;
    use crate::domain::checklist::Evidence;
    use crate::domain::command::Ask;
    use crate::domain::comms::{Audience, Message, Purpose, Text};
    use crate::domain::event::{Event, Record};
    use crate::domain::health::Status;
    use crate::domain::incident::Severity;
    use crate::domain::run::Instead;
    use crate::domain::system::Fault;
    use crate::domain::verdict;
    use crate::tui::tests::scene::Scene;

    /// From peace through a failover to its closing, and a while of peace after it.
    fn closed() -> Scene {
        let mut scene = Scene::recovered();
        scene.ask(Ask::Note { text: "the traffic is back at its usual height".into() });
        scene.ask(Ask::SetSeverity { severity: Severity::Sev2, reason: "clients are served".into() });
        scene.pass(20);
        scene.ask(Ask::CloseIncident {
            note: "us-east-1 came back; we stay in us-west-2".into(),
            despite: "walked by the morning shift".into(),
            tell: false,
        });
        scene.pass(60);
        scene
    }

    fn fold(records: &[Record], scene: &Scene) -> Review {
        let mut reviewer = Reviewer::new(None);
        records.iter().for_each(|record| reviewer.take(record));
        let mut review = reviewer.finish(scene.snap.now).expect("there was an incident");
        review.journal.verified = Verified::Whole { records: records.len() as u64, head: "ab".repeat(32) };
        review
    }

    #[test]
    fn a_failover_in_review() {
        let scene = closed();
        let documents = reports::documents(&fold(&scene.records, &scene));
        insta::assert_snapshot!("markdown", documents.markdown);
        insta::assert_snapshot!("json", documents.json);
        let (_, body) = documents.html.split_once("</style>").unwrap();
        insta::assert_snapshot!("html", body);
    }

    #[test]
    fn its_verdicts_are_those_of_the_screen() {
        let (before, closed) = (Scene::recovered(), closed());
        let (estate, state) = (&before.snap.estate, &before.snap.state);
        let incident = state.incident.as_ref().unwrap();
        let (rto, rpo) =
            (verdict::rto(estate, incident, before.snap.now), verdict::rpo(estate, incident, state.run.as_ref()));
        assert!(rto.iter().all(|it| it.recovered), "{rto:?}");
        let review = fold(&closed.records, &closed);
        assert_eq!((&review.rto, &review.rpo), (&rto, &rpo));
        let mut lister = Lister::default();
        closed.records.iter().for_each(|record| lister.take(record));
        let briefs = lister.finish(closed.snap.now);
        assert_eq!((briefs.len(), briefs[0].severity), (1, Severity::Sev2));
        assert_eq!((&briefs[0].rto, &briefs[0].rpo, briefs[0].closed_at), (&rto, &rpo, review.closed_at));
    }

    #[test]
    fn it_begins_with_the_first_trouble_and_ends_with_what_follows_of_it() {
        let scene = closed();
        let review = fold(&scene.records, &scene);
        let first = scene.records.iter().find(|it| it.seq == review.journal.first).unwrap();
        assert!(matches!(&first.event, Event::ProbeChanged { to: Status::Down, .. }), "{first:?}");
        let earlier = scene.records.iter().filter(|it| it.seq < review.journal.first);
        let ill = |it: &&Record| matches!(&it.event, Event::ProbeChanged { to: Status::Down, .. });
        assert_eq!(earlier.filter(ill).count(), 0);
        let last = scene.records.iter().find(|it| it.seq == review.journal.last).unwrap();
        assert!(matches!(last.event, Event::IncidentClosed { .. }), "{last:?}");
        assert_eq!(review.as_of, last.at);
        // Peace goes on, and then something arrives that was still under way.
        let mut records = scene.records.clone();
        let mut add = |event| {
            let (seq, at) = (records.len() as u64 + 1, scene.snap.now);
            records.push(Record { seq, at, actor: Actor::engine(), event });
        };
        add(Event::NoteAdded { text: "another day".into() });
        add(Event::MessageComposed { message: Box::new(message(&review, "all is well again")) });
        add(sent("status"));
        let later = fold(&records, &scene);
        assert_eq!(later.notes, review.notes);
        assert_eq!(later.messages.len(), 1);
        assert_eq!(later.journal.last, records.len() as u64);
    }

    fn message(review: &Review, words: &str) -> Message {
        let text = Text { subject: words.into(), body: format!("first\n{words}") };
        Message {
            id: "m1".into(),
            incident: review.incident.clone(),
            purpose: Purpose::Resolved,
            severity: Severity::Sev1,
            drill: false,
            texts: [(Audience::Internal, text)].into(),
            components: Default::default(),
            send_at: review.as_of,
            next_due: None,
            deliveries: [("status".into(), 1), ("mail".into(), 2), ("chat".into(), 1)].into(),
            only_page: false,
            chain: None,
        }
    }

    fn sent(channel: &str) -> Event {
        let receipt = [("id".to_owned(), "42".to_owned())].into();
        Event::DeliverySent { message: "m1".into(), channel: channel.into(), part: 0, receipt }
    }

    /// Everything that people and vendors can put into words, while the incident is open.
    fn told(scene: &Scene, words: &str) -> Vec<Record> {
        let closing = scene.records.iter().position(|it| matches!(it.event, Event::IncidentClosed { .. })).unwrap();
        let review = fold(&scene.records, scene);
        let run = review.runs[0].id.clone();
        let step = review.runs[0].steps[0].id.clone();
        let fault = || Fault::permanent(words, words).means(words).next(words);
        let text = || words.to_owned();
        let line = words.replace(['\n', '\r'], " ");
        let (item, channel) = ("access", "mail");
        let events = vec![
            Event::NoteAdded { text: text() },
            Event::PageAcknowledged { by: text() },
            Event::SeverityChanged { severity: Severity::Sev1, reason: text() },
            Event::TitleChanged { title: text() },
            Event::HoldSet { reason: text() },
            Event::ProbeChanged {
                probe: "api".into(),
                to: Status::Down,
                detail: text(),
                last_healthy: None,
                trouble: None,
            },
            Event::MessageComposed { message: Box::new(message(&review, &line)) },
            sent("status"),
            Event::DeliverySent {
                message: "m1".into(),
                channel: channel.into(),
                part: 0,
                receipt: [("link".to_owned(), text()), (text(), text())].into(),
            },
            Event::DeliveryFailed { message: "m1".into(), channel: channel.into(), part: 1, fault: fault(), at: None },
            Event::DeliveryUnknown { message: "m1".into(), channel: "chat".into(), part: 0, fault: fault() },
            Event::ItemSeen { item: item.into(), evidence: Evidence::Fail, detail: text() },
            Event::ItemTicked { item: item.into(), note: text(), against: Some(text()) },
            Event::ItemSkipped { item: "metrics".into(), reason: text() },
            Event::StepUncertain { run: run.clone(), step: step.clone(), fault: fault() },
            Event::StepUnknowable { run: run.clone(), step: step.clone(), why: text() },
            Event::SecondAwaited {
                run: run.clone(),
                step: step.clone(),
                wish: Instead::Skip,
                guards: vec![text()],
                reason: text(),
            },
            Event::GuardsOverridden {
                run: run.clone(),
                step: step.clone(),
                guards: vec![text()],
                reason: text(),
                cleared: false,
            },
            Event::StepDoneByHand { run, step, reason: text() },
        ];
        let actor = Actor::named(text(), Some(7));
        let at = scene.records[closing].at;
        let (before, after) = scene.records.split_at(closing);
        let added = events.into_iter().map(|event| Record { seq: 0, at, actor: actor.clone(), event });
        let mut records: Vec<Record> = before.iter().cloned().chain(added).chain(after.iter().cloned()).collect();
        records.iter_mut().zip(1..).for_each(|(record, seq)| record.seq = seq);
        records
    }

    #[test]
    fn what_is_left_to_do_is_what_went_wrong() {
        let scene = closed();
        let review = fold(&told(&scene, "odd"), &scene);
        let actions: BTreeSet<&str> = review.actions.iter().map(|it| it.because.word()).collect();
        for because in ["checklist", "delivery", "override", "probe", "readiness", "run", "step", "backup"] {
            assert!(actions.contains(because), "{because} is not in {:#?}", review.actions);
        }
        let states: Vec<(&str, &str)> =
            review.messages[0].deliveries.iter().map(|it| (it.channel.as_str(), it.state.word())).collect();
        assert_eq!(states, [("chat", "unknown"), ("mail", "failed"), ("status", "sent")]);
        assert_eq!((review.messages[0].deliveries[1].sent, review.messages[0].deliveries[1].parts), (1, 2));
        let person = review.people.iter().find(|it| it.who.uid == Some(7)).unwrap();
        assert!(person.did.contains(&"answered for 2 items".to_owned()), "{person:?}");
        let against: Vec<&str> =
            review.decisions.iter().filter(|it| it.against_advice).map(|it| it.words.as_str()).collect();
        assert_eq!(against.len(), 2, "{against:?}");
        assert!(review.checklist.iter().any(|it| it.against.as_deref() == Some("odd")));
    }

    /// Lines, and bars that mean something: what a text must not add to.
    fn shape(markdown: &str) -> (usize, usize) {
        let unescaped = markdown.replace("\\\\", "").matches("\\|").count();
        (markdown.lines().count(), markdown.matches('|').count() - unescaped)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever anybody writes stays a text: it opens no tag, ends no cell, moves no cursor.
        #[test]
        fn no_text_breaks_out(words in "x(<script>|</table>|\\||`{1,3}|\\*\\*|\\\\|\u{1b}\\[2J|\u{202e}|&amp;|\"|'|\n|\r|# |- |<!--|-->|é|a| ){0,12}") {
            let scene = closed();
            let plain = reports::documents(&fold(&told(&scene, "x"), &scene));
            let review = fold(&told(&scene, &words), &scene);
            let documents = reports::documents(&review);
            for mark in ['<', '>', '"'] {
                prop_assert_eq!(documents.html.matches(mark).count(), plain.html.matches(mark).count(), "{}", mark);
            }
            prop_assert!(!documents.html.contains("<script"));
            prop_assert_eq!(shape(&documents.markdown), shape(&plain.markdown));
            prop_assert!(!documents.markdown.contains("\n# x") && !documents.markdown.replace("\\<", "").contains('<'));
            for (form, text) in documents.forms() {
                let harmful = |c: char| c != '\n' && crate::domain::text::is_harmful(c);
                prop_assert!(!text.contains(harmful), "{}", form);
            }
            let read: Review = serde_json::from_str(&documents.json).unwrap();
            prop_assert_eq!(read, review);
        }
    }

    #[test]
    fn an_old_journal_has_no_verdicts_and_says_so() {
        let scene = closed();
        let mut records = scene.records.clone();
        for record in &mut records {
            if let Event::IncidentDeclared { promise, .. } = &mut record.event {
                *promise = None;
            }
        }
        let review = fold(&records, &scene);
        assert!(review.rto.is_empty() && review.rpo.is_empty());
        assert!(page::document(&review).markdown().contains("objectives not recorded"));
    }
}
