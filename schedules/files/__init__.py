"""Files of one record a line that survive kills and full disks. Imports errors alone."""
