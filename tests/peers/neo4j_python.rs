//! The Neo4j Python driver against the lab's Bolt servers. Needs `pip install neo4j`.

use mayday::lab::{Lab, Pace};

use crate::python::run;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Neo4j Python driver: .ci/run installs it"]
async fn the_python_driver_finds_a_cluster_as_it_knows_it() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let address = |number: u8| lab.endpoints[&format!("neo4j.neo4j-{number}")].clone();
    let environment = [("LAB_NEO4J_1", address(1)), ("LAB_NEO4J_2", address(2)), ("LAB_NEO4J_3", address(3))];
    run("neo4j_python.py", environment).await;
}
