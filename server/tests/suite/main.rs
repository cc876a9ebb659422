//! The server from outside, through its rings: each module is a theme, each test a promise.

mod admission;
mod children;
mod commands;
mod companions;
mod contract;
mod death;
mod direct;
mod fairness;
mod flooders;
mod history;
mod hostile;
mod intruders;
mod lifecycle;
mod limits;
mod nonsense;
mod overflow;
mod renewal;
mod restarts;
mod retries;
mod scribbler;
mod support;
mod texts;
