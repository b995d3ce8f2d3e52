//! Right answers about right runs, and refusals of what cannot be answered: every input that once gave a wrong answer
//! gives the right one. One module a subject.

mod behaviour;
mod clients;
mod commands;
mod disks;
mod expectations;
mod given_faults;
mod input;
mod ledger;
mod logs;
mod masters;
mod people;
mod pressure;
mod reasons;
mod releases;
mod settings;
mod structure;
mod support;
mod synchronisation;
mod xml;
