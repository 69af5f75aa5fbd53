"""A mailbox: messages to read, to answer and to pass on, drafts with attachments."""
