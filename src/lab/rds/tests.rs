use super::super::faults::Condition;
use super::super::world::STANDBY;
use super::*;

fn pass(all: &mut Databases, now: Timestamp, faults: &Faults) {
    all.tick(&Tick { now, pace: Pace(1.0), faults });
}

fn databases() -> (Databases, Timestamp, Faults) {
    let start = Timestamp::now();
    (Databases::gennet(start, Extent::Two), start, Faults::default())
}

#[test]
fn the_replica_has_what_crossed_before_the_region_went_dark_and_its_lag_grows() {
    let (mut all, start, mut faults) = databases();
    let later = |seconds| start + Duration::from_secs(seconds);
    all.write(PRIMARY, start, &faults).unwrap();
    all.write(PRIMARY, later(9), &faults).unwrap();
    pass(&mut all, later(2), &faults);
    assert_eq!(all.newest(STANDBY, &faults), Some(start));
    assert!(all.write(STANDBY, later(2), &faults).unwrap_err().contains("read-only"));
    faults.set("*@us-east-1", Condition::Dark);
    pass(&mut all, later(70), &faults);
    assert_eq!(all.newest(STANDBY, &faults), Some(start));
    assert!(all.write(PRIMARY, later(70), &faults).is_err());
    let told: Vec<_> = all
        .instance(REPLICA)
        .unwrap()
        .lags
        .iter()
        .map(|(at, lag)| at.duration_since(start).as_secs_f64() - lag)
        .collect();
    assert_eq!(told, [0.0, 0.0], "the datapoint's time less the lag is the newest write that arrived");
}

#[test]
fn a_promotion_takes_its_time_detaches_and_cannot_be_repeated() {
    let (mut all, start, faults) = databases();
    let later = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(all.promote(WRITER, PRIMARY, start).unwrap_err().code, "InvalidDBInstanceState");
    assert_eq!(all.promote(REPLICA, PRIMARY, start).unwrap_err().code, "DBInstanceNotFound");
    all.instance_mut(REPLICA).unwrap().state = State::BackingUp;
    assert_eq!(all.promote(REPLICA, STANDBY, start).unwrap_err().code, "InvalidDBInstanceState");
    all.instance_mut(REPLICA).unwrap().state = State::Available;
    all.promote(REPLICA, STANDBY, start).unwrap();
    pass(&mut all, later(60), &faults);
    assert_eq!(all.instance(REPLICA).unwrap().state.word(), "modifying");
    assert!(all.write(STANDBY, later(60), &faults).is_err());
    pass(&mut all, later(71), &faults);
    assert_eq!(all.instance(REPLICA).unwrap().source, None);
    all.write(STANDBY, later(72), &faults).unwrap();
    assert_eq!(all.newest(STANDBY, &faults), Some(later(72)));
    assert_eq!(all.promote(REPLICA, STANDBY, later(73)).unwrap_err().code, "InvalidDBInstanceState");
}

#[test]
fn a_failover_between_zones_is_told_late() {
    let (mut all, start, faults) = databases();
    let later = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(all.reboot(REPLICA, STANDBY, true, &faults, start).unwrap_err().code, "InvalidParameterCombination");
    all.reboot(WRITER, PRIMARY, true, &faults, start).unwrap();
    assert!(all.write(PRIMARY, later(1), &faults).is_err());
    pass(&mut all, later(76), &faults);
    let writer = all.instance(WRITER).unwrap();
    assert_eq!((writer.zones.0, writer.shown_zones().0), ("us-east-1b", "us-east-1a"));
    assert!(all.events.iter().any(|event| event.message == "Multi-AZ instance failover completed"));
    pass(&mut all, later(76 + 91), &faults);
    assert_eq!(all.instance(WRITER).unwrap().shown_zones(), ("us-east-1b", Some("us-east-1a")));
}

#[test]
fn a_zone_that_is_gone_is_fled_from_and_not_gone_back_to() {
    let (mut all, start, mut faults) = databases();
    let later = |seconds| start + Duration::from_secs(seconds);
    faults.set("us-east-1a", Condition::Dark);
    assert!(all.write(PRIMARY, start, &faults).is_err(), "its zone is gone, and nothing has begun yet");
    pass(&mut all, later(1), &faults);
    assert_eq!(all.instance(WRITER).unwrap().state.word(), "rebooting");
    pass(&mut all, later(77), &faults);
    assert_eq!(all.instance(WRITER).unwrap().zones.0, "us-east-1b");
    all.write(PRIMARY, later(78), &faults).unwrap();
    let refused = all.reboot(WRITER, PRIMARY, true, &faults, later(79)).unwrap_err();
    assert!(refused.message.contains("us-east-1a"), "{refused:?}");
    pass(&mut all, later(80), &faults);
    all.write(PRIMARY, later(80), &faults).unwrap();
}

#[test]
fn while_nothing_flows_the_replica_answers_and_tells_a_lag_that_grows() {
    let (mut all, start, mut faults) = databases();
    let later = |seconds| start + Duration::from_secs(seconds);
    all.write(PRIMARY, start, &faults).unwrap();
    pass(&mut all, later(2), &faults);
    faults.set("*@us-west-2", Condition::Lagging);
    all.write(PRIMARY, later(3), &faults).unwrap();
    pass(&mut all, later(600), &faults);
    assert_eq!(all.newest(STANDBY, &faults), Some(start));
    assert_eq!(all.instance(REPLICA).unwrap().lags.back().unwrap().1, 600.0);
    faults.heal_all();
    pass(&mut all, later(601), &faults);
    assert_eq!(all.newest(STANDBY, &faults), Some(later(3)));
}

#[test]
fn a_replica_is_made_of_what_keeps_backups_under_a_free_name_and_with_a_key_of_its_region() {
    let (mut all, start, faults) = databases();
    let later = |seconds| start + Duration::from_secs(seconds);
    all.promote(REPLICA, STANDBY, start).unwrap();
    pass(&mut all, later(71), &faults);
    let source = "arn:aws:rds:us-west-2:000000000000:db:gennet-db-replica".replace("000000000000", sts::ACCOUNT);
    let make = |all: &mut Databases, key| all.create_replica(WRITER, &source, PRIMARY, key, later(72));
    assert_eq!(make(&mut all, Some("key")).unwrap_err().code, "DBInstanceAlreadyExists");
    all.modify(WRITER, PRIMARY, None, Some("gennet-db-old"), later(72)).unwrap();
    pass(&mut all, later(140), &faults);
    assert!(all.instance("gennet-db-old").is_some() && all.instance(WRITER).is_none());
    assert_eq!(make(&mut all, None).unwrap_err().code, "InvalidParameterCombination");
    all.modify(REPLICA, STANDBY, Some(0), None, later(140)).unwrap();
    assert_eq!(make(&mut all, Some("key")).unwrap_err().code, "InvalidDBInstanceState", "no backups, no replica");
    all.modify(REPLICA, STANDBY, Some(7), None, later(140)).unwrap();
    all.write(STANDBY, later(141), &faults).unwrap();
    make(&mut all, Some("key")).unwrap();
    assert_eq!(all.instance(WRITER).unwrap().state.word(), "creating");
    all.write(STANDBY, later(142), &faults).unwrap();
    pass(&mut all, later(72 + 601), &faults);
    assert_eq!(all.newest(PRIMARY, &faults), Some(later(142)), "it follows, from before it was there");
    assert!(all.write(PRIMARY, later(680), &faults).unwrap_err().contains("read-only"));
}
