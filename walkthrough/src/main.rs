//! quorate with the module `peak_alert` in it.

use std::process::ExitCode;

use station_alerts::PeakAlert;

fn main() -> ExitCode {
    quorate::command().module(PeakAlert).main()
}
