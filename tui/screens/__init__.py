"""The four modes of the app and its dialogs."""
