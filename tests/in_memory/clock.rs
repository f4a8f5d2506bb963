//! The clock is set back under a running pipeline. Row 33 of the fault matrix.

use crate::support::{Reply, Scripted, World};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
auto_offset_reset = "earliest"
[topics.LOAD]
station = "/s"
[modules.m]
enabled = true
requires = ["LOAD"]
trigger = { on = ["LOAD"], min_interval = "10s" }
"#;

#[tokio::test(start_paused = true)]
async fn a_delayed_run_is_not_held_up_by_a_clock_that_is_set_back_while_nothing_else_happens() {
    for by_ms in [5_000, 3_600_000, 365 * 86_400_000] {
        let module = Scripted::new("m", |_| Reply::Echo);
        let mut world = World::new(CONFIG, vec![module.clone()]);
        world.assign_all().await;
        world.send("LOAD", &[r#"{"s":"S","kw":1}"#]).await;
        world.pass(1_000).await;
        world.send("LOAD", &[r#"{"s":"S","kw":2}"#]).await;
        world.pass(1_000).await;
        world.clock.set_back(by_ms);
        world.pass(7_000).await;
        assert_eq!(module.seen().len(), 1, "its interval is not over");
        world.pass(2_000).await;
        assert_eq!(module.seen().len(), 2, "set back by {by_ms} ms");
        world.stop().await;
    }
}
