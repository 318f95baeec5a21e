"""The file of SLA policies: its format, what is wrong in one, and the policies it stands for."""
