"""Who has which device: tracker, queue, client, their wire format, the secret they share. Imports formats alone."""
