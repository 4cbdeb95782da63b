"""From open files to evaluated columns, block by block."""
