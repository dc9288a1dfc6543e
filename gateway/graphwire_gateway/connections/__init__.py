"""What clients talk to: handshakes, commands, and the delivery of logs to subscriptions."""
