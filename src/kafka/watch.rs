//! Asks the cluster every few seconds how a consumer's topics stand: a topic that was deleted and created again gives no
//! other sign once it is longer than the old one was, and a topic may grow without a partition for us. Never waits.

use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::RDKafkaErrorCode;

use super::clock;
use super::context::PollContext;
use super::ffi::{Described, TopicQuestion};
use super::intake::{Slot, slot_of};

/// How long one answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A cluster that does not know the question is asked again after this: it may have been upgraded.
const UNSUPPORTED: Duration = Duration::from_secs(600);

/// The questions of one client.
#[derive(Debug)]
pub(super) struct TopicWatch<'c> {
    question: Option<TopicQuestion<'c>>,
    next_at: Instant,
}

impl<'c> TopicWatch<'c> {
    /// The first question is put after one interval: whoever begins to read has just asked.
    pub(super) fn new(interval: Duration) -> Self {
        Self { question: None, next_at: clock::now() + interval }
    }

    /// Puts the question when it is time, and takes the answer when it is there.
    pub(super) fn turn(
        &mut self,
        context: &PollContext,
        consumer: &'c BaseConsumer<PollContext>,
    ) -> Vec<(Slot, Described)> {
        let answer = match &self.question {
            None if clock::now() < self.next_at || context.is_cut_off() => return Vec::new(),
            None => {
                let names: Vec<&str> = context.topics.iter().map(|topic| &*topic.name).collect();
                match TopicQuestion::ask(consumer, &names, context.answering_broker(), PATIENCE) {
                    Ok(question) => {
                        self.question = Some(question);
                        return Vec::new();
                    }
                    Err(code) => Err(code),
                }
            }
            Some(question) => match question.answer(Duration::ZERO) {
                None => return Vec::new(),
                Some(answer) => answer,
            },
        };
        self.question = None;
        self.next_at = clock::now() + context.timing.topic_check;
        match answer {
            Ok(topics) => topics.into_iter().filter_map(|at| Some((slot_of(&context.topics, &at.name)?, at))).collect(),
            Err(code) => {
                // The controller is asked next, whoever did not answer.
                context.set_answering_broker(None);
                if code == RDKafkaErrorCode::UnsupportedFeature {
                    self.next_at = clock::now() + UNSUPPORTED;
                }
                tracing::debug!(group = &*context.group, %code, "topics not described");
                Vec::new()
            }
        }
    }
}

/// The id of one topic, asked with patience; none where the cluster gives none.
pub(super) fn topic_id(context: &PollContext, consumer: &BaseConsumer<PollContext>, name: &str) -> Option<u128> {
    let question = TopicQuestion::ask(consumer, &[name], context.answering_broker(), PATIENCE).ok()?;
    // The library answers within its patience; a little more, so that it is the one to give up.
    let described = question.answer(PATIENCE + Duration::from_millis(200))?;
    described.ok()?.into_iter().find(|topic| topic.name == name)?.id
}
