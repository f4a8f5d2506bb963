//! A broker inside the process, for the demo and for tests that inject errors. It keeps nothing, drops data beyond
//! 5 MiB or 100,000 batches per partition without a word, fences no zombie: never the proof of a delivery guarantee.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::errors::KafkaRoomError;
use super::threads;

type Cluster = MockCluster<'static, DefaultProducerContext>;
type Task = Box<dyn FnOnce(&Cluster) + Send>;

/// A cluster that lives as long as this value. Its handle may not leave the thread that made it, hence the thread.
pub struct EmbeddedBroker {
    servers: String,
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts a cluster of so many brokers on free ports of the loopback interface.
    ///
    /// # Errors
    /// The library or the system refuses.
    pub fn start(brokers: i32) -> Result<Self, KafkaRoomError> {
        let client = || "embedded broker".to_owned();
        let (tasks, todo) = sync_channel::<Task>(1);
        let (ready, started) = sync_channel::<KafkaResult<String>>(1);
        let thread = threads::spawn("embedded-broker", move || {
            let cluster = match Cluster::new(brokers) {
                Ok(cluster) => cluster,
                Err(error) => {
                    // Whoever started it is still waiting for exactly this.
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok(cluster.bootstrap_servers()));
            for task in todo {
                task(&cluster);
            }
        })
        .map_err(|source| KafkaRoomError::Thread { client: client(), source })?;
        let servers = started.recv().unwrap_or(Err(KafkaError::Canceled));
        let servers = servers.map_err(|source| KafkaRoomError::Client { client: client(), source })?;
        Ok(Self { servers, tasks: Some(tasks), thread: Some(thread) })
    }

    /// What clients put into `bootstrap.servers`.
    #[must_use]
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// Creates a topic; the cluster knows no admin requests.
    ///
    /// # Errors
    /// The library refuses, for instance because the topic exists.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), KafkaRoomError> {
        let name = name.to_owned();
        self.ask(move |cluster| cluster.create_topic(&name, partitions, 1))
    }

    /// Makes all brokers refuse connections, or accept them again.
    ///
    /// # Errors
    /// The library refuses.
    pub fn set_reachable(&self, reachable: bool) -> Result<(), KafkaRoomError> {
        const ALL: i32 = -1;
        self.ask(move |cluster| if reachable { cluster.broker_up(ALL) } else { cluster.broker_down(ALL) })
    }

    fn ask(&self, task: impl FnOnce(&Cluster) -> KafkaResult<()> + Send + 'static) -> Result<(), KafkaRoomError> {
        let (answer, waiting) = sync_channel(1);
        let task: Task = Box::new(move |cluster| {
            // The caller waits below.
            let _ = answer.send(task(cluster));
        });
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task);
        }
        waiting
            .recv()
            .unwrap_or(Err(KafkaError::Canceled))
            .map_err(|source| KafkaRoomError::Client { client: "embedded broker".to_owned(), source })
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the cluster as well.
            let _ = thread.join();
        }
    }
}
