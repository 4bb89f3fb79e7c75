use super::*;
use crate::domain::spec::classes::DataClass;
use crate::domain::spec::params::Params;
use crate::domain::time::before;

fn now() -> At {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn hours(hours: u64) -> At {
    before(now(), std::time::Duration::from_secs(hours * 3600))
}

fn spec() -> BackupSpec {
    BackupSpec {
        id: "graph.full".into(),
        title: "Neo4j full".into(),
        kind: "s3.objects".into(),
        subject: "graph".into(),
        system: "objects".into(),
        class: Some(DataClass::Database),
        region: None,
        every: Span::secs(60),
        max_age: Some(Span::secs(26 * 3600)),
        retention: Some(Span::secs(7 * 86_400)),
        params: Params::default(),
    }
}

fn good(age: u64, size: u64) -> BackupCopy {
    copy(hours(age), CopyState::Good, "a", Some(size))
}

/// A week of daily copies in the other region.
fn sound() -> BackupLook {
    BackupLook::of((0..8).map(|day| good(5 + day * 24, 1000)).collect()).at(RegionId::from("us-west-2"))
}

fn judged(look: BackupLook) -> Judged {
    let live = BackupLive { at: Some(now()), look, fault: None };
    judge(&spec(), Some(&live), &"us-east-1".into(), now())
}

#[test]
fn a_week_of_daily_copies_elsewhere_is_fresh() {
    let judged = judged(sound());
    assert_eq!((judged.worth, judged.words()), (Worth::Fresh, String::new()));
    assert_eq!(judged.point, Some(hours(5)));
}

#[test]
fn what_was_not_seen_is_unknown_and_not_fresh() {
    assert_eq!(judge(&spec(), None, &"us-east-1".into(), now()).worth, Worth::Unknown);
    let fault = Some("S3 does not answer".to_owned());
    let live = BackupLive { at: Some(hours(1)), look: sound(), fault: fault.clone() };
    let judged = judge(&spec(), Some(&live), &"us-east-1".into(), now());
    assert_eq!(judged.worth, Worth::Unknown);
    assert!(judged.words().contains("1h ago"), "{}", judged.words());
    // One look that fails is no news.
    let live = BackupLive { at: Some(now()), look: sound(), fault };
    assert_eq!(judge(&spec(), Some(&live), &"us-east-1".into(), now()).worth, Worth::Fresh);
}

#[test]
fn an_old_copy_is_stale_and_none_is_missing() {
    let old = BackupLook::of(vec![good(27, 1000)]).at(RegionId::from("us-west-2"));
    assert_eq!(judged(old).worth, Worth::Stale);
    assert_eq!(judged(BackupLook::default()).worth, Worth::Missing);
}

#[test]
fn a_partial_copy_is_no_copy() {
    let mut look = sound();
    look.copies.insert(0, copy(hours(1), CopyState::Partial, "PartiallyFailed", None));
    let judged = judged(look);
    assert_eq!(judged.worth, Worth::Weak);
    assert_eq!(judged.point, Some(hours(5)), "the partial one restores nothing");
}

#[test]
fn a_copy_in_the_threatened_region_alone_is_flagged() {
    let here = BackupLook { regions: vec!["us-east-1".into()], ..sound() };
    assert_eq!(judged(here.clone()).worth, Worth::Weak);
    let half = judged(BackupLook { partial: true, ..here.clone() });
    assert_eq!(half.worth, Worth::Unknown, "the other place could not be looked at: {}", half.words());
    let both = here.at(RegionId::from("us-west-2"));
    assert_eq!(judged(both).worth, Worth::Fresh);
    let nowhere = BackupLook { regions: Vec::new(), ..sound() };
    assert_eq!(judged(nowhere).worth, Worth::Weak);
}

#[test]
fn a_copy_whose_age_depends_on_which_clock_jumped_is_unknown() {
    // One day and two hours are allowed. The copy is five hours old by one clock, and three days older by the other.
    for (age, days, worth) in [
        (5, 3, Worth::Unknown),
        (77, -3, Worth::Unknown),
        // By either clock it is fresh, or stale.
        (5, 0, Worth::Fresh),
        (100, 3, Worth::Stale),
        // The other clock would have it made in the future, so there is no doubt.
        (5, -3, Worth::Fresh),
        (70, -3, Worth::Stale),
    ] {
        let look = BackupLook {
            copies: (0..8).map(|day| good(age + day * 24, 1000)).collect(),
            drift: Drift(f64::from(days) * 86_400.0),
            ..sound()
        };
        let judged = judged(look);
        assert_eq!(judged.worth, worth, "{age} h old, {days} days off: {}", judged.words());
        assert_eq!(judged.words().contains("set the clock right"), worth == Worth::Unknown);
    }
}

#[test]
fn copies_that_go_too_soon_are_flagged() {
    let short = BackupLook { keeps: Some(Span::secs(86_400)), ..sound() };
    assert_eq!(judged(short).worth, Worth::Weak);
    let young = BackupLook::of(vec![good(5, 1000), good(29, 1000)]).at(RegionId::from("us-west-2"));
    assert!(judged(young).words().contains("go back"));
}

#[test]
fn a_copy_of_an_odd_size_is_flagged() {
    let mut look = sound();
    look.copies.iter_mut().for_each(|copy| copy.size = Some(10_000));
    look.copies[0].size = Some(3_000);
    assert_eq!(judged(look.clone()).worth, Worth::Weak);
    look.copies[0].size = Some(18_000);
    assert_eq!(judged(look).worth, Worth::Fresh);
}

#[test]
fn a_chain_ends_at_its_first_gap() {
    let gap = Span::secs(7 * 3600);
    assert_eq!(chain(Some(hours(24)), &[hours(18), hours(12), hours(6)], gap), (Some(hours(6)), None));
    assert_eq!(chain(Some(hours(24)), &[hours(18), hours(6)], gap), (Some(hours(18)), Some(hours(6))));
    assert_eq!(chain(None, &[hours(6)], gap), (None, None));
    // An increment from before the full copy belongs to another chain.
    assert_eq!(chain(Some(hours(2)), &[hours(6)], gap), (Some(hours(2)), None));
}

#[test]
fn sizes_are_said_in_their_unit() {
    assert_eq!([bytes(12.0), bytes(1500.0), bytes(2.5e9)], ["12 B", "1.5 kB", "2.5 GB"]);
}

#[test]
fn a_copy_in_which_nothing_can_be_is_no_copy() {
    let hollow = |ages: std::ops::Range<u64>| ages.map(|day| good(5 + day * 24, 15)).collect::<Vec<_>>();
    let ten = judged(BackupLook::of(hollow(0..10)).at(RegionId::from("us-west-2")));
    assert_eq!((ten.worth, ten.point), (Worth::Missing, None), "{}", ten.words());
    assert!(ten.words().contains("there is no good copy") && ten.words().contains("15 B"), "{}", ten.words());
    // A log between copies is worth nothing without one.
    let logged = BackupLook { point: Some(now()), ..BackupLook::of(hollow(0..10)).at(RegionId::from("us-west-2")) };
    assert_eq!(judged(logged).worth, Worth::Missing);
    // The newest broke off, and the one before it is old enough to be told.
    let mut copies = sound().copies;
    copies[0].size = Some(15);
    let broken = judged(BackupLook::of(copies).at(RegionId::from("us-west-2")));
    assert_eq!((broken.worth, broken.point), (Worth::Stale, Some(hours(29))), "{}", broken.words());
    // A system that tells no size is believed.
    let untold = sound().copies.into_iter().map(|copy| BackupCopy { size: None, ..copy }).collect();
    assert_eq!(judged(BackupLook::of(untold).at(RegionId::from("us-west-2"))).worth, Worth::Fresh);
}

#[test]
fn what_nobody_has_looked_at_lately_is_unknown() {
    let seen = |seconds: u64, fault: Option<&str>| {
        let at = before(now(), std::time::Duration::from_secs(seconds));
        let live = BackupLive { at: Some(at), look: sound(), fault: fault.map(str::to_owned) };
        let judged = judge(&spec(), Some(&live), &"us-east-1".into(), now());
        (judged.worth, judged.words())
    };
    let refused = Some("403");
    for (what, seconds, fault, worth, words) in [
        ("just now", 0, None, Worth::Fresh, ""),
        ("one look failed", 180, refused, Worth::Fresh, ""),
        ("it is refused for longer", 181, refused, Worth::Unknown, "3m ago: 403"),
        ("it waits for its turn", 300, None, Worth::Fresh, ""),
        ("nobody looks any more", 301, None, Worth::Unknown, "5m ago: nobody has looked since"),
    ] {
        let seen = seen(seconds, fault);
        assert!(seen.0 == worth && seen.1.contains(words), "{what}: {seen:?}");
    }
    let never = BackupLive { fault: Some("no answer within 45 s".into()), ..BackupLive::default() };
    let judged = judge(&spec(), Some(&never), &"us-east-1".into(), now());
    assert_eq!((judged.worth, judged.words().as_str()), (Worth::Unknown, "no answer within 45 s"));
}

#[test]
fn a_copy_from_the_future_is_as_old_as_nobody_knows() {
    let dated = |seconds: u64| {
        let at = crate::domain::time::after(now(), std::time::Duration::from_secs(seconds));
        let mut look = sound();
        look.copies.insert(0, copy(at, CopyState::Good, "a", Some(1000)));
        judged(look)
    };
    assert_eq!(dated(60).worth, Worth::Fresh, "clocks differ a little");
    let ahead = dated(7200);
    assert!(ahead.worth == Worth::Unknown && ahead.words().contains("2h ahead of now"), "{}", ahead.words());
}

#[test]
fn what_says_nothing_of_protection_protects_nothing_that_is_known() {
    let spec = BackupSpec { max_age: None, retention: None, ..spec() };
    let judged = |guards: Vec<Guard>| {
        let look = BackupLook { guards, ..BackupLook::default() };
        judge(&spec, Some(&BackupLive { at: Some(now()), look, fault: None }), &"us-east-1".into(), now()).worth
    };
    assert_eq!(judged(vec![Guard::pass("versioning", "on")]), Worth::Fresh);
    assert_eq!(judged(vec![Guard::warn("versioning", "not known")]), Worth::Weak);
    assert_eq!(judged(Vec::new()), Worth::Unknown);
}

#[test]
fn how_far_back_it_goes_is_not_guessed() {
    let at = RegionId::from("us-west-2");
    let log = BackupLook { point: Some(hours(1)), ..BackupLook::default() }.at(at.clone());
    let untold = judged(log.clone());
    assert!(untold.worth == Worth::Weak && untold.words().contains("how far back"), "{}", untold.words());
    let told = BackupLook { oldest: Some(hours(200)), ..log };
    assert_eq!(judged(told).worth, Worth::Fresh);
    let nothing = judged(BackupLook::default().at(at));
    assert!(!nothing.words().contains("how far back"), "there is nothing to restore: {}", nothing.words());
}
