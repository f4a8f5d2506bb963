//! The live view: a thread of its own that draws the latest scene and turns keys into requests. Decides nothing about
//! the demo, and gives the terminal back however it ends.

mod forecast;
mod frame;
mod log_ring;
mod numbers;
mod palette;
mod terminal;
mod topics;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::watch;

use super::scene::Scene;
pub use log_ring::LogRing;
use palette::Palette;
use terminal::Screen;

/// How often the scene is drawn, and the longest a key waits.
const FRAME: Duration = Duration::from_millis(100);

/// A view that is open. Dropping it closes it and gives the terminal back.
#[derive(Debug)]
pub struct View {
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl View {
    /// Opens the view. Each request to stop is counted in `stops`; so is the end of the view itself, because a demo
    /// that nobody sees would run for ever.
    ///
    /// # Errors
    /// The terminal cannot be taken over, or the system refuses a thread.
    pub fn open(
        scenes: watch::Receiver<Scene>,
        stops: watch::Sender<u32>,
        logs: LogRing,
        colour: bool,
    ) -> io::Result<Self> {
        let screen = Screen::open()?;
        let closing = Arc::new(AtomicBool::new(false));
        let end = End { stops: stops.clone(), closing: Arc::clone(&closing) };
        let window = Window { scenes, stops, logs, palette: Palette { colour }, station: 0 };
        let thread = Builder::new().name("view".to_owned()).spawn(move || window.show(screen, &end))?;
        Ok(Self { closing, thread: Some(thread) })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic there has been logged, and the terminal was given back on the way.
            let _ = thread.join();
        }
    }
}

/// Asks for the end of the demo when the view ends by itself, unwinding included.
struct End {
    stops: watch::Sender<u32>,
    closing: Arc<AtomicBool>,
}

impl End {
    fn is_wanted(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.is_wanted() {
            self.stops.send_modify(|stops| *stops += 1);
        }
    }
}

struct Window {
    scenes: watch::Receiver<Scene>,
    stops: watch::Sender<u32>,
    logs: LogRing,
    palette: Palette,
    station: usize,
}

impl Window {
    fn show(mut self, mut screen: Screen, end: &End) {
        while !end.is_wanted() {
            let scene = self.scenes.borrow_and_update().clone();
            let logs = self.logs.last(3);
            let drawn = screen.draw(|frame| frame::draw(frame, &scene, self.station, &logs, self.palette));
            let heard = drawn.and_then(|()| self.listen(scene.fleet.stations().len()));
            if let Err(error) = heard {
                tracing::error!(%error, "view ended");
                break;
            }
        }
    }

    /// Waits for a frame's time, serving keys meanwhile; a key that changes the picture ends the wait.
    fn listen(&mut self, stations: usize) -> io::Result<()> {
        if event::poll(FRAME)?
            && let Event::Key(key) = event::read()?
        {
            self.press(key, stations);
        }
        Ok(())
    }

    fn press(&mut self, key: KeyEvent, stations: usize) {
        if key.kind == KeyEventKind::Release || stations == 0 {
            return;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => self.request_stop(),
            KeyCode::Char('q') => self.request_stop(),
            KeyCode::Right => self.station = (self.station + 1) % stations,
            KeyCode::Left => self.station = (self.station + stations - 1) % stations,
            _ => {}
        }
    }

    fn request_stop(&self) {
        self.stops.send_modify(|stops| *stops += 1);
    }
}
