//! Configuration: from text, environment and command line to resolved [`Settings`], with every problem at once.

mod settings;

pub use settings::{
    ConsumerMode, ConsumerSettings, LogFormat, MissingTopic, ModuleSettings, OffsetReset, OutOfRange, Properties,
    Provision, Rehydrate, Retry, ServiceSettings, Settings, TopicSettings,
};
