use super::*;

fn finding(finds: Finds) -> Finding {
    Finding { step: None, name: "target".into(), finds, detail: String::new() }
}

fn assessment(finds: &[Finds]) -> Assessment {
    let findings = finds.iter().copied().map(finding).collect();
    Assessment { plan: "p".into(), at: At::UNIX_EPOCH, findings }
}

#[test]
fn the_worst_finding_decides_and_every_finding_counts() {
    use Finds::*;
    assert_eq!((assessment(&[Pass, Pass]).ready(), assessment(&[Pass, Pass]).score()), (Ready::Ready, 100));
    assert_eq!((assessment(&[Pass, Warn]).ready(), assessment(&[Pass, Warn]).score()), (Ready::AtRisk, 75));
    assert_eq!((assessment(&[Pass, Unknown]).ready(), assessment(&[Pass, Unknown]).score()), (Ready::Unknown, 50));
    assert_eq!((assessment(&[Warn, Fail]).ready(), assessment(&[Warn, Fail]).score()), (Ready::NotReady, 25));
}

#[test]
fn a_plan_of_which_nothing_is_known_is_not_ready() {
    assert_eq!((assessment(&[]).ready(), assessment(&[]).score()), (Ready::Unknown, 0));
}

fn fact(subject: &str, region: &str, value: &str) -> Fact {
    Fact { subject: subject.into(), name: "image".into(), region: region.into(), value: value.into() }
}

fn of(facts: &[Fact]) -> Vec<(Finds, String)> {
    let regions = ["us-east-1".into(), "us-west-2".into()];
    parity(facts, &regions).into_iter().map(|it| (it.finds, it.detail)).collect()
}

#[test]
fn sides_that_differ_are_told() {
    let same = [fact("api", "us-east-1", "1.4"), fact("api", "us-west-2", "1.4")];
    assert_eq!(of(&same), [(Finds::Pass, "1 facts are the same in both regions".into())]);
    let other = [fact("api", "us-east-1", "1.4"), fact("api", "us-west-2", "1.3")];
    assert_eq!(of(&other), [(Finds::Warn, "image of api differs: 1.4 in us-east-1, 1.3 in us-west-2".into())]);
    let one = [fact("api", "us-east-1", "1.4"), fact("api", "us-west-2", "1.4"), fact("web", "us-east-1", "2")];
    assert_eq!(of(&one), [(Finds::Warn, "web has no image in us-west-2".into())]);
}

#[test]
fn one_side_alone_says_nothing_of_parity() {
    assert_eq!(of(&[fact("api", "us-east-1", "1.4")]), []);
}

#[test]
fn denied_actions_block() {
    assert_eq!(access(&[], 3, "the role").verdict, GuardVerdict::Pass);
    let denied = access(&["rds:PromoteReadReplica".into()], 3, "the role");
    assert_eq!(denied.verdict, GuardVerdict::Block);
    assert!(denied.detail.contains("rds:PromoteReadReplica"));
}

#[test]
fn a_way_to_reach_people_that_is_shut_is_a_risk_and_stops_no_recovery() {
    let shut = Fault::transient("slack", "invalid_auth");
    let found = |reached| channel(&("ops".into(), reached));
    assert_eq!(found(Ok("signed in as mayday".into())).finds, Finds::Pass);
    let told = found(Err(shut));
    assert_eq!(told.finds, Finds::Warn);
    assert!(told.detail.contains("by ops") && told.detail.contains("invalid_auth"), "{told:?}");
}
