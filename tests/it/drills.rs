//! Practice: breaking the lab by hand, and drills from their beginning to their evidence.

use mayday::cli::exit::Exit;
use mayday::lab::faults::{Condition, places};
use mayday::lab::{Lab, Pace};

use crate::process::{EMPTY, Home};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_of_the_lab_is_broken_and_healed_by_hand() {
    let lab = Lab::start(Pace(1.0)).await.unwrap();
    let home = Home::new(EMPTY);
    let lab_says = async |words: &str| home.says(&format!("lab {words} --control {}", lab.endpoints["control"])).await;
    let now = |place: &str, region: &str| lab.world.truth().faults.condition(place, Some(region));

    lab_says("faults").await.is(0, &["Nothing is broken."]);
    lab_says("break rds@us-east-1 dark").await.is(0, &["rds@us-east-1", "dark"]);
    lab_says("break app@us-west-2 slow --by 900ms").await.is(0, &["slow by 0.9 s"]);
    assert_eq!((now("rds", "us-east-1"), now("rds", "us-west-2")), (Condition::Dark, Condition::Up));
    lab_says("heal rds@us-east-1").await.is(0, &["app@us-west-2"]);
    assert_eq!(now("rds", "us-east-1"), Condition::Up);
    lab_says("heal").await.is(0, &["Nothing is broken."]);
    assert_eq!(now("app", "us-west-2"), Condition::Up);

    let usage = i32::from(Exit::Usage.code());
    lab_says("break rds@mars dark").await.is(usage, &["no place `rds@mars`", "mayday lab break --list"]);
    lab_says("break rds@us-east-1 gone").await.is(usage, &["no condition `gone`"]);
    lab_says("break rds@us-east-1").await.is(usage, &["<CONDITION>"]);
    let list = home.says("lab break --list").await;
    list.is(0, &["cut-off", "its clients do"]);
    assert!(places().iter().all(|place| list.out.contains(place)), "{list:#?}");
    let unreachable = i32::from(Exit::Unreachable.code());
    home.says("lab heal --dir /nonexistent").await.is(unreachable, &["no lab is known", "--control"]);
}
