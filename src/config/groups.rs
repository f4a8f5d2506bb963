//! The names of consumer groups, and whether two of them coincide.

/// Groups that scaling out and exactly-once delivery use besides those of the topics.
const RESERVED: [&str; 2] = ["assemble", "emit"];

/// The group of one topic's consumer in multi mode.
pub(super) fn of_topic(base: &str, topic: &str) -> String {
    format!("{base}-{topic}")
}

/// Whether quorate keeps the group for itself.
pub(super) fn is_reserved(base: &str, group: &str) -> bool {
    RESERVED.iter().any(|name| of_topic(base, name) == group)
}

/// A base and a topic: what a group's name is made of.
type Parts<'p> = (&'p str, &'p str);

/// Those that end up in one group: they would rebalance each other for ever.
pub(super) fn colliding<'p>(pairs: &[Parts<'p>]) -> Vec<(Parts<'p>, Parts<'p>)> {
    let mut found = Vec::new();
    for (ix, second) in pairs.iter().enumerate() {
        let same = |first: &&Parts<'_>| of_topic(first.0, first.1) == of_topic(second.0, second.1);
        found.extend(pairs[..ix].iter().find(same).map(|first| (*first, *second)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_4_04_a_group_is_the_base_and_the_topic() {
        assert_eq!(of_topic("mygroup", "TopicA"), "mygroup-TopicA");
    }

    #[test]
    fn row_4_04_names_that_only_differ_in_where_they_are_split_collide() {
        assert_eq!(colliding(&[("a", "b-c"), ("a", "c"), ("a-b", "c")]), [(("a", "b-c"), ("a-b", "c"))]);
        assert!(colliding(&[("a", "b"), ("a", "c")]).is_empty());
    }

    #[test]
    fn groups_kept_for_scaling_out_are_known() {
        assert!(is_reserved("a", "a-assemble") && is_reserved("a", "a-emit") && !is_reserved("a", "a-b"));
    }
}
