<?php
echo "PHP ", PHP_MAJOR_VERSION, ", started ", file_get_contents("/run/started");
