"""Better schedules than the default: the logs that ship and those of users, and what a record has to be to be taken."""
