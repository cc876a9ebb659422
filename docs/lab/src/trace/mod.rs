//! A run as a list of steps, each with the whole state after it, and as a page that shows them.

mod page;
mod record;

pub use page::{page, write_page};
pub use record::{Recording, Step, Wake, simulated, with_processes};
