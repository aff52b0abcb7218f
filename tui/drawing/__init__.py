"""Curves, tables and pictures made of characters."""
